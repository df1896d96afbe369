"""The wheel's part of the build: chapters, documents, experiments and examples go along, for `wellposed.repository`."""

from collections.abc import Iterator
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES = ["chapters", "docs", "examples", "experiments", "benchmarks/results", "README.md", "CONTRIBUTING.md"]
MADE = {"runs", "robustness", "__pycache__"}  # folders that whoever tries an example leaves in it
FILMS = ".mp4"  # stay in the repository, because they weigh more than all else


class Files(BuildHookInterface):
    """Adds them to a wheel; an editable installation finds them in the checkout."""

    def initialize(self, version: str, build_data: dict) -> None:
        """Called before the build; `version` is that of the wheel: `standard` or `editable`."""
        if version == "standard":
            root = Path(self.root)
            for name in FILES:
                build_data["force_include"] |= {str(path): f"wellposed/share/{path}" for path in files(root, name)}


def files(root: Path, name: str) -> Iterator[Path]:
    """A file below `root`, or all files of a folder there that a wheel brings, relative to `root`."""
    for path in [root / name] if (root / name).is_file() else sorted((root / name).rglob("*")):
        if path.is_file() and path.suffix != FILMS and not MADE & {*path.relative_to(root).parts}:
            yield path.relative_to(root)
