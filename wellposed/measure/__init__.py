"""Named measurements that are no training: what a chapter may state of a machine, an environment or a finished run."""

from typing import Any

from wellposed.measure.anatomy import Anatomy, AnatomySettings
from wellposed.measure.kinds import Context, Kind


def _anatomy(settings: AnatomySettings, context: Context) -> Any:
    from wellposed.measure.dissect import dissect

    return dissect(settings, context)


MEASUREMENTS: dict[str, Kind] = {
    "anatomy": Kind(AnatomySettings, Anatomy, _anatomy),
}
