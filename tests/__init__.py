"""The tests of wellposed."""

import os
from pathlib import Path


def resident() -> int:
    """Bytes of memory of this process now; 0 where the system does not say."""
    told = Path("/proc/self/statm")
    return int(told.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if told.exists() else 0
