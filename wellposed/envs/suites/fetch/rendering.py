"""The Fetch arm as it is shown: a scene made to be looked at."""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import mujoco

from wellposed.envs.rendering import Camera, Renderer
from wellposed.envs.suites.fetch.model import SLIDE, Variant, model_path


def renderer(variant: Variant, size: int, backend: str) -> Renderer:
    """Draws frames of `size` pixels of a Fetch task; its own model, so it can neither slow nor change the physics."""
    camera = Camera((1.15, 0.75, 0.4), 2.0) if variant is SLIDE else Camera((1.25, 0.75, 0.6), 1.55)
    return Renderer(_studio(variant), size, backend, camera)


def _studio(variant: Variant) -> mujoco.MjModel:
    """The task's model in daylight: pale background, soft floor and table. For the eye only."""
    spec = mujoco.MjSpec.from_file(str(model_path(variant)))
    for texture in spec.textures:
        if texture.type == mujoco.mjtTexture.mjTEXTURE_SKYBOX:
            texture.rgb1, texture.rgb2 = (0.93, 0.95, 0.97), (0.80, 0.85, 0.90)
    colours = {
        "floor_mat": (0.78, 0.81, 0.84, 1), "table_mat": (0.96, 0.94, 0.90, 1),
        "block_mat": (0.16, 0.22, 0.33, 1), "puck_mat": (0.16, 0.22, 0.33, 1),
    }  # fmt: skip
    for name, rgba in colours.items():
        spec.material(name).rgba = rgba
    for light in spec.lights:
        light.ambient, light.diffuse, light.specular = (0.0,) * 3, (0.45,) * 3, (0.1,) * 3
        light.dir = (-0.3, 0.2, -1.0)
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = (0.4,) * 3, (0.3,) * 3
    return spec.compile()
