"""Store what Stable-Baselines3's algorithms compute on stated weights, batches and noise, for tests without PyTorch.

make peers && .venv-peers/bin/python scripts/make_sb3_reference.py
"""

import sys
from pathlib import Path

from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.agents.sb3_oracle import sac_case, td3_case  # noqa: E402
from tests.agents.sb3_ppo_oracle import gae_case, ppo_case  # noqa: E402


def main() -> None:
    """Write the reference files that tests/agents/test_reference.py reads."""
    cases = {f"td3_{updates}_updates": td3_case(seed=updates, updates=updates) for updates in (1, 2)}
    for learn in (False, True):
        name = "learnt" if learn else "fixed"
        cases[f"sac_{name}_temperature"] = sac_case(seed=int(learn), learn_temperature=learn)
    cases |= {"ppo_3_updates": ppo_case(seed=0, updates=3), "gae": gae_case(seed=0)}
    for name, case in cases.items():
        path = ROOT / "tests" / "reference" / f"sb3_{name}.safetensors"
        save_file(case, path)
        print(path.relative_to(ROOT), f"{path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
