"""What can be varied of MuJoCo models: each parameter is a value of its own and a function that writes another.

Every env whose dynamics vary has a model of its own. Before an episode begins its model is put back to what it was made
as, and the values of the episode are written into it. Steps are taken on models that threads share (`ThreadModels`).
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import copy
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import mujoco
import numpy as np

from wellposed.errors import UserError

# What parameters write relative to what stands there; it is put back first.
WRITTEN = (
    "geom_friction", "geom_size", "geom_rbound", "geom_aabb", "body_mass", "body_inertia", "body_pos",
    "dof_damping", "actuator_gainprm", "actuator_biasprm", "eq_solref",
)  # fmt: skip


class Place(NamedTuple):
    """One env: its model, its state, and the object that steps it."""

    model: Any
    data: Any
    simulation: Any


class Parameter(NamedTuple):
    """A parameter of the dynamics."""

    own: float  # its value in the model as it was made: 1 of a factor, 0 of a displacement
    write: Callable[[Place, float], None]  # into a model that is as it was made
    derived: bool = False  # whether MuJoCo has to compute again what follows from masses


def scale_friction(place: Place, factor: float) -> None:
    """Sliding friction of all geoms, so of all contacts."""
    place.model.geom_friction[:, 0] *= factor


def scale_damping(place: Place, factor: float) -> None:
    """Damping of all joints."""
    place.model.dof_damping *= factor


def scale_gain(place: Place, factor: float) -> None:
    """Gain of all actuators, of servos about the same targets; and stiffness of welds, which move a mocap hand.

    A weld is a spring with a time constant and a damping ratio; its stiffness goes with 1 / time constant squared.
    """
    model = place.model
    model.actuator_gainprm[:, 0] *= factor
    model.actuator_biasprm[:, 1] *= factor
    welds = (model.eq_type == mujoco.mjtEq.mjEQ_WELD) & (model.eq_solref[:, 0] > 0)
    model.eq_solref[welds, 0] /= np.sqrt(factor)


def scale_mass(bodies: Any) -> Parameter:
    """Mass and inertia of these bodies, as an index."""

    def write(place: Place, factor: float) -> None:
        place.model.body_mass[bodies] *= factor
        place.model.body_inertia[bodies] *= factor

    return Parameter(1.0, write, derived=True)


def control_rate(attribute: str, substeps: int) -> Parameter:
    """Environment steps per second, as a factor: physics steps of an environment step, kept in `attribute`, over it."""

    def write(place: Place, factor: float) -> None:
        setattr(place.simulation, attribute, max(1, round(substeps / factor)))

    return Parameter(1.0, write)


ANY_MODEL = {
    "friction": Parameter(1.0, scale_friction),
    "mass": scale_mass(slice(None)),
    "damping": Parameter(1.0, scale_damping),
    "gain": Parameter(1.0, scale_gain),
}


class Varied:
    """The parameters that vary, and their values in every env, [n, parameters].

    `next` are those of the episodes that begin from now on; `now` those of the episodes under way.
    """

    def __init__(self, parameters: dict[str, Parameter], places: list[Place]):
        self.names, self._parameters, self._places = list(parameters), list(parameters.values()), places
        written = [[getattr(place.model, name) for name in WRITTEN] for place in places]
        self._made = [[(array, array.copy()) for array in arrays] for arrays in written]
        self.next = np.tile([parameter.own for parameter in self._parameters], (len(places), 1))
        self.now = self.next.copy()

    def begin(self, i: int) -> None:
        """Write the next values into the model of env i, before its state is reset."""
        place = self._places[i]
        for array, made in self._made[i]:
            array[:] = made
        for parameter, value in zip(self._parameters, self.next[i], strict=True):
            parameter.write(place, float(value))
        if any(parameter.derived for parameter in self._parameters):
            mujoco.mj_setConst(place.model, place.data)  # leaves the data at qpos0
        self.now[i] = self.next[i]


class ThreadModels:
    """Steps envs on one model for each thread, which has the values of whichever env is stepped.

    Sixteen models of 8 MB, one for each env, would push one another out of the processor's cache in every step.
    `python -m benchmarks.wrappers` compares both.
    """

    def __init__(self, made: mujoco.MjModel, parameters: dict[str, Parameter], places: list[Place]):
        """`made` is the model as it was made, `places` the envs with their own models."""
        self._made, self._places, self._names = made, places, changed_by(made, parameters)
        self._own = [[getattr(place.model, name) for name in self._names] for place in places]
        self._stats = [place.model.stat for place in places]  # views, which are slow to make
        self._of_thread = threading.local()

    def advance(self, i: int, control: np.ndarray) -> None:
        """One environment step of env i."""
        if not hasattr(self._of_thread, "model"):
            self._of_thread.model = model = copy.copy(self._made)
            self._of_thread.arrays, self._of_thread.stat = [getattr(model, name) for name in self._names], model.stat
        place, thread = self._places[i], self._of_thread
        for array, own in zip(thread.arrays, self._own[i], strict=True):
            array[:] = own
        thread.stat.meaninertia = self._stats[i].meaninertia  # the solver stops by it
        place.simulation.model = thread.model
        try:
            place.simulation.advance(control)
        finally:
            place.simulation.model = place.model


def changed_by(made: mujoco.MjModel, parameters: dict[str, Parameter]) -> list[str]:
    """The arrays of a model that differ once all these parameters are written."""
    model = copy.copy(made)
    place = Place(model, mujoco.MjData(model), SimpleNamespace())
    for parameter in parameters.values():
        parameter.write(place, parameter.own + 0.25)
    if any(parameter.derived for parameter in parameters.values()):
        mujoco.mj_setConst(model, place.data)
    names = [name for name in dir(made) if isinstance(getattr(made, name), np.ndarray)]
    return [name for name in names if not np.array_equal(getattr(made, name), getattr(model, name))]


def chosen(known: dict[str, Parameter], names: list[str]) -> dict[str, Parameter]:
    """The parameters of these names.

    Raises:
        UserError: if the environment cannot vary one of them.
    """
    if missing := [name for name in names if name not in known]:
        able = ", ".join(known) or "nothing"
        raise UserError(f"--env.dynamics.{missing[0].replace('_', '-')}: this environment can vary {able}.")
    return {name: known[name] for name in names}
