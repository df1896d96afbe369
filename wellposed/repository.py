"""Where the files of the repository are: around the packages in a checkout, inside of this one in an installed wheel.

They are the chapters, documents, experiments and examples, and the source itself, which the book shows.
"""

import os
from pathlib import Path, PurePath

PACKAGE = Path(__file__).resolve().parent
PACKAGES = (PACKAGE.name, "course")  # lie beside each other, in a checkout and where a wheel is installed
_BROUGHT = PACKAGE / "share"  # scripts/wheel.py puts into the wheel what it needs besides the package
INSTALLED = _BROUGHT.is_dir()  # from a wheel, which brings all but the tests and the films
ROOT = _BROUGHT if INSTALLED else PACKAGE.parent


def name_of(path: Path) -> Path:
    """The name within the repository of a resolved path, such as `docs/check.md`; the path itself if it is outside."""
    if path.is_relative_to(ROOT):
        return path.relative_to(ROOT)
    ours = any(path.is_relative_to(PACKAGE.parent / name) for name in PACKAGES)
    return path.relative_to(PACKAGE.parent) if ours else path


def cache_folder() -> Path:
    """Where the user's machine keeps what can be made anew: certificates, and compiled programs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wellposed"


def root_of(name: str | PurePath) -> Path:
    """The folder that a name such as `docs/check.md` or `wellposed/seeding.py` is relative to."""
    return PACKAGE.parent if {*PurePath(name).parts[:1]} & {*PACKAGES} else ROOT
