"""The wheel's part of the build: chapters, documents, experiments and examples go along, for `wellposed.repository`."""

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES = ["chapters", "docs", "examples", "experiments", "benchmarks/results", "README.md", "CONTRIBUTING.md"]


class Files(BuildHookInterface):
    """Adds them to a wheel; an editable installation finds them in the checkout."""

    def initialize(self, version: str, build_data: dict) -> None:
        """Called before the build; `version` is that of the wheel: `standard` or `editable`."""
        if version == "standard":
            build_data["force_include"] |= {name: f"wellposed/share/{name}" for name in FILES}
