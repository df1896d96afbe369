"""Named measurements that are no training: what a chapter may state of a machine, an environment or a finished run."""

from typing import Any

from wellposed.measure.anatomy import Anatomy, AnatomySettings
from wellposed.measure.kinds import Context, Kind
from wellposed.measure.lift import Lift, LiftSettings
from wellposed.measure.proof_of_life import ProofOfLife, ProofOfLifeSettings
from wellposed.measure.split import Split, SplitSettings
from wellposed.measure.stress import Stress, StressSettings


def _proof_of_life(settings: ProofOfLifeSettings, context: Context) -> Any:
    from wellposed.measure.life import prove

    return prove(settings, context)


def _anatomy(settings: AnatomySettings, context: Context) -> Any:
    from wellposed.measure.dissect import dissect

    return dissect(settings, context)


def _lift(settings: LiftSettings, context: Context) -> Any:
    from wellposed.measure.lifting import measure_lift

    return measure_lift(settings, context)


def _split(settings: SplitSettings, context: Context) -> Any:
    from wellposed.measure.splitting import measure_split

    return measure_split(settings, context)


def _stress(settings: StressSettings, context: Context) -> Any:
    from wellposed.measure.under_noise import measure_stress

    return measure_stress(settings, context)


MEASUREMENTS: dict[str, Kind] = {
    "proof_of_life": Kind(ProofOfLifeSettings, ProofOfLife, _proof_of_life),
    "anatomy": Kind(AnatomySettings, Anatomy, _anatomy),
    "lift": Kind(LiftSettings, Lift, _lift),
    "split": Kind(SplitSettings, Split, _split),
    "stress": Kind(StressSettings, Stress, _stress),
}
