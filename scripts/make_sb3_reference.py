"""Store what Stable-Baselines3's SAC computes on stated weights, batches and noise, for tests without PyTorch.

make peers && .venv-peers/bin/python scripts/make_sb3_reference.py
"""

import sys
from pathlib import Path

from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.agents.sb3_oracle import make_case  # noqa: E402


def main() -> None:
    """Write the reference files that tests/agents/test_sac_reference.py reads."""
    for learn in (False, True):
        name = "learnt" if learn else "fixed"
        path = ROOT / "tests" / "reference" / f"sb3_sac_{name}_temperature.safetensors"
        save_file(make_case(seed=int(learn), learn_temperature=learn), path)
        print(path.relative_to(ROOT), f"{path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
