"""What can be varied of a Fetch task: what any model has, the object, the table, the rate of control."""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

from typing import Any

from wellposed.envs.physics.dynamics import ANY_MODEL, Parameter, Place, control_rate, scale_mass
from wellposed.envs.suites.fetch.model import SUBSTEPS, FetchScene

_HEIGHT = -1  # of a box's or a cylinder's sizes, without the zeros behind them, the last is half its height


def parameters(scene: FetchScene) -> dict[str, Parameter]:
    """The parameters by name. Without an object there is no mass, size or table height to vary."""
    general = {name: ANY_MODEL[name] for name in ("friction", "damping", "gain")}
    general["rate"] = control_rate("substeps", SUBSTEPS)
    if not scene.variant.has_object:
        return general
    body, table = scene.model.body("object0").id, scene.model.body("table0").id

    def resize(place: Place, factor: float) -> None:
        """All lengths of the object; its mass stays."""
        model, geom = place.model, scene.model.geom("object0").id
        model.geom_size[geom] *= factor
        model.geom_rbound[geom] *= factor
        model.geom_aabb[geom] *= factor
        first = model.body_bvhadr[body]
        boxes = slice(first, first + model.body_bvhnum[body])
        model.bvh_aabb[boxes] = factor * scene.model.bvh_aabb[boxes]
        model.body_inertia[body] *= factor**2

    def raise_table(place: Place, height: float) -> None:
        """Metres; the object starts on it, goals stay where they are."""
        place.model.body_pos[table, 2] += height

    own = {"mass": scale_mass(body), "size": Parameter(1.0, resize, derived=True)}
    return general | own | {"table_height": Parameter(0.0, raise_table)}


def lift(scene: FetchScene, model: Any) -> float:
    """Metres by which the object's centre starts higher than in the task as it was made; 0 in a model like it."""
    if not scene.variant.has_object:
        return 0.0
    geom, table = model.geom("object0").id, model.body("table0").id
    height = [i for i, size in enumerate(scene.model.geom_size[geom]) if size][_HEIGHT]
    larger = model.geom_size[geom, height] - scene.model.geom_size[geom, height]
    return float(larger + model.body_pos[table, 2] - scene.model.body_pos[table, 2])
