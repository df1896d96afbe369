"""What a policy sees of Push, as docs/images/pixels.png: three moments at 48 pixels, and at 84.

python scripts/draw_pixels.py
"""

from contextlib import closing
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from wellposed.envs import EnvConfig, find, make_env
from wellposed.envs.wrappers.pixels import CAMERA, Pixels
from wellposed.repository import ROOT

MOMENTS = (0, 8, 16)  # steps of the episode


def frames(size: int) -> list[np.ndarray]:
    """The frames of one episode of the controller written by hand, which knows the state."""
    entry = find("FetchPush-v4")
    assert entry.oracle is not None
    policy = entry.oracle()
    with closing(make_env(EnvConfig("FetchPush-v4", pixels=Pixels(size)), 1, "evaluation")) as env:
        now, carry, seen = env.reset(seed=4), policy.initial_carry(1), []
        for _ in range(max(MOMENTS) + 1):
            seen.append(now.obs[CAMERA][0])
            action, carry = policy.act(now.truth, carry)
            env.step(action)
            now = env.now
    return [seen[moment] for moment in MOMENTS]


def main() -> None:
    """Draw and save the picture."""
    figure, axes = plt.subplots(1, 6, figsize=(9.6, 1.9), layout="constrained")
    pictures = [(size, moment, frame) for size in (48, 84) for moment, frame in zip(MOMENTS, frames(size), strict=True)]
    for axis, (size, moment, frame) in zip(axes, pictures, strict=True):
        axis.imshow(frame, interpolation="nearest")
        axis.set_title(f"{size} x {size}, step {moment}", fontsize=9)
        axis.axis("off")
    target = Path(ROOT) / "docs" / "images" / "pixels.png"
    figure.savefig(target, dpi=120)
    print(target)


if __name__ == "__main__":
    main()
