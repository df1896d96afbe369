"""Certify all registered environments anew, for wellposed/check/certificates.json; about half a minute.

python -m scripts.certificates
"""

from wellposed.agents import SACConfig
from wellposed.check import stored

if __name__ == "__main__":
    stored.ship(SACConfig().gamma)
