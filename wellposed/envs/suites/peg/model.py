"""The peg tasks' numbers, their compiled models, and one simulated hand.

A hand holds a peg above a plate with a hole. Of the arm the model has what contact feels: three slides under impedance
control, and a passive wrist that gives way in three angles. The arm carries its own weight, so there is no gravity.

A hole is a ring of boxes, four or eight. In the octagon a round peg has its clearance between opposite sides, and 8 %
more between corners. What is hidden follows Factory (Narang et al. 2022, arXiv 2205.03532) and FORGE (Noseworthy et al.
2024, arXiv 2408.04587).
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import copy
from functools import cache

import mujoco
import numpy as np

TIMESTEP, SUBSTEPS = 0.001, 50  # seconds of a physics step, and how many are one environment step: control at 20 Hz
WIDTH, LENGTH = 0.016, 0.1  # metres: of the peg, and from the wrist to its tip
DEPTH, PLATE = 0.02, 0.04  # metres: of the hole, and from its middle to the edge of the plate
STIFFNESS, DAMPING = 2_000.0, 70.0  # of the hand: N/m and N s/m, critical for its 0.6 kg
TURNING_STIFFNESS, TURNING_DAMPING = 40.0, 0.4  # of the wrist: N m/rad and N m s/rad
SHAPES = {"square": 4, "round": 8}  # boxes around a hole

# Columns of the readings. Seen: the hand's place and angles, their velocities per second, and the wrench at its wrist.
SEEN, POSITION, VELOCITY, FORCE = slice(0, 18), slice(0, 3), slice(6, 12), slice(12, 15)
TIP = slice(18, 21)  # true place of the tip
GRASP, FRICTION, HOLE = slice(21, 24), 24, slice(25, 27)  # hidden: drawn for each episode
READINGS = 27

_XML = """
<mujoco>
  <compiler angle="radian"/>
  <option timestep="{timestep}" gravity="0 0 0" cone="elliptic" integrator="implicitfast" impratio="10"/>
  <asset><texture type="skybox" builtin="flat" rgb1="0.93 0.95 0.97" width="16" height="16"/></asset>
  <default>
    <geom solref="0.002 1" solimp="0.95 0.99 0.0001"/>
    <default class="plate"><geom type="box" contype="1" conaffinity="0"/></default>
  </default>
  <worldbody>
    <body name="plate" mocap="true">
      {walls}
      <geom class="plate" size="{plate} {plate} 0.005" pos="0 0 {floor}"/>
    </body>
    <body name="carriage" pos="0 0 {length}">
      <inertial mass="0.3" pos="0 0 0" diaginertia="1e-4 1e-4 1e-4"/>
      <joint name="x" type="slide" axis="1 0 0"/>
      <joint name="y" type="slide" axis="0 1 0"/>
      <joint name="z" type="slide" axis="0 0 1"/>
      <body name="hand">
        <inertial mass="0.3" pos="0 0 -0.03" diaginertia="3e-4 3e-4 1e-4"/>
        <joint name="rx" axis="1 0 0" stiffness="{turning}" damping="{turning_damping}"/>
        <joint name="ry" axis="0 1 0" stiffness="{turning}" damping="{turning_damping}"/>
        <joint name="rz" axis="0 0 1" stiffness="{turning}" damping="{turning_damping}"/>
        <site name="wrist"/>
        <!-- The peg's mass is the hand's, so that how it is held changes no free motion. -->
        <body name="peg" pos="0 0 -{length}">
          <geom name="peg" {peg} pos="0 0 {half}" mass="0" contype="0" conaffinity="1" priority="1"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position joint="x" kp="{stiffness}" kv="{damping}"/>
    <position joint="y" kp="{stiffness}" kv="{damping}"/>
    <position joint="z" kp="{stiffness}" kv="{damping}"/>
  </actuator>
  <sensor><force site="wrist"/><torque site="wrist"/></sensor>
</mujoco>
"""


@cache
def peg_model(shape: str, clearance: float) -> mujoco.MjModel:
    """The model of a peg and a hole that is wider than it by `clearance` metres."""
    half, inner = LENGTH / 2, (WIDTH + clearance) / 2
    pegs = {
        "square": f'type="box" size="{WIDTH / 2} {WIDTH / 2} {half}"',
        "round": f'type="cylinder" size="{WIDTH / 2} {half}"',
    }
    return mujoco.MjModel.from_xml_string(
        _XML.format(
            walls="\n".join(_wall(inner, turn, SHAPES[shape]) for turn in range(SHAPES[shape])),
            peg=pegs[shape], half=half, length=LENGTH, plate=PLATE, floor=-DEPTH - 0.005, timestep=TIMESTEP,
            stiffness=STIFFNESS, damping=DAMPING, turning=TURNING_STIFFNESS, turning_damping=TURNING_DAMPING,
        )
    )  # fmt: skip


def _wall(inner: float, turn: int, count: int) -> str:
    """One of `count` boxes, whose inner face lies `inner` metres from the middle of the hole and is as wide as it."""
    angle, middle = 2 * np.pi * turn / count, (inner + PLATE) / 2
    size = (PLATE - inner) / 2, PLATE * np.tan(np.pi / count), DEPTH / 2
    place = middle * np.cos(angle), middle * np.sin(angle), -DEPTH / 2
    told = [" ".join(map(repr, map(float, numbers))) for numbers in (size, place)]
    return f'<geom class="plate" size="{told[0]}" pos="{told[1]}" euler="0 0 {float(angle)!r}"/>'


class PegSimulation:
    """One hand with its peg, and what its episode hides: where the hole is, how the peg is held, friction.

    Grasp and friction are written into a model of its own. They stand among the readings, and so in a saved state.
    """

    def __init__(self, data: mujoco.MjData, readings: np.ndarray):
        """`readings` is the row [27] that is kept up to date."""
        self.data, self.readings, self.model = data, readings, copy.copy(data.model)
        peg = self.model.body("peg").id
        self._peg_place, self._friction = self.model.body_pos[peg], self.model.geom_friction[self.model.geom("peg").id]
        self._parts = [data.qpos, data.qvel, data.sensordata, data.xpos[peg]]

    def begin(self, position: np.ndarray, hole: np.ndarray, grasp: np.ndarray, friction: float) -> None:
        """Begin an episode with the hand at `position` [3], the hole at [2], and the peg held `grasp` [3] away."""
        self.readings[HOLE], self.readings[GRASP], self.readings[FRICTION] = hole, grasp, friction
        self.place(position)

    def place(self, position: np.ndarray) -> None:
        """Put the hand at rest and upright at `position` [3], in the same episode."""
        model, data = self.model, self.data
        self._write_hidden()
        mujoco.mj_resetData(model, data)
        data.mocap_pos[0, :2] = self.readings[HOLE]
        data.qpos[:3] = data.ctrl[:] = position
        mujoco.mj_forward(model, data)
        self._read()

    def advance(self, target: np.ndarray) -> None:
        """One environment step in which the hand's controller is drawn to `target` [3]."""
        self._write_hidden()
        self.data.ctrl[:] = target
        mujoco.mj_step(self.model, self.data, SUBSTEPS)
        mujoco.mj_kinematics(self.model, self.data)  # else the tip would be that of one physics step ago
        self._read()

    def _write_hidden(self) -> None:
        self._peg_place[:] = self.readings[GRASP]
        self._peg_place[2] -= LENGTH
        self._friction[0] = self.readings[FRICTION]

    def _read(self) -> None:
        np.concatenate(self._parts, out=self.readings[: TIP.stop])
        self.readings[FORCE.start : SEEN.stop] *= -1  # MuJoCo tells what the wrist does to the hand
