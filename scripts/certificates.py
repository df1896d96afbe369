"""Certify registered environments anew, for wellposed/check/certificates.json.

python -m scripts.certificates                 # all that need no extra; about half a minute
python -m scripts.certificates PandaReach-v3   # these; those of panda-gym take ten seconds each
"""

import sys

from wellposed.agents import SACConfig
from wellposed.check import stored

if __name__ == "__main__":
    stored.ship(SACConfig().gamma, sys.argv[1:])
