"""What holds for all tests: a program that XLA has compiled once is not compiled again, in whatever process.

Nine tenths of a short training is compiling, and many tests train. The compiled programs are kept where pytest keeps
its own cache, by a digest of program, compiler and flags, so what is computed is bit for bit the same.
"""

import os
from pathlib import Path

KEPT = Path(__file__).parent.parent / ".pytest_cache" / "xla"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(KEPT))  # read when JAX is imported, here and in child processes
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
