"""Measurements that a chapter can state without training: of a machine, of an environment, or of finished runs."""

from course.measure.interface import InterfaceComparison, InterfaceSettings, measure_interfaces
from course.measure.kinds import Kind
from course.measure.life import ProofOfLife, ProofOfLifeSettings, measure_life
from course.measure.lift import Lift, LiftSettings, measure_lift
from course.measure.perturbation import Perturbation, PerturbationSettings, measure_perturbation
from course.measure.ports import Ports, PortsSettings, measure_ports
from course.measure.realities import (
    Identification,
    IdentificationSettings,
    PredictiveSettings,
    PredictiveValue,
    RealityComparison,
    RealitySettings,
    measure_identification,
    measure_predictive,
    measure_reality,
)
from course.measure.robustness import RobustnessComparison, RobustnessSettings, measure_robustness
from course.measure.split import Split, SplitSettings, measure_split
from course.measure.stress import Stress, StressSettings, measure_stress
from course.measure.tracking import Tracking, TrackingSettings, measure_tracking
from wellposed.anatomy import Anatomy, AnatomySettings
from wellposed.anatomy.dissect import dissect

MEASUREMENTS: dict[str, Kind] = {
    "proof_of_life": Kind(ProofOfLifeSettings, ProofOfLife, measure_life),
    "anatomy": Kind(AnatomySettings, Anatomy, lambda asked, given: dissect(asked, given.threads, given.over)),
    "lift": Kind(LiftSettings, Lift, measure_lift),
    "split": Kind(SplitSettings, Split, measure_split),
    "stress": Kind(StressSettings, Stress, measure_stress),
    "interface": Kind(InterfaceSettings, InterfaceComparison, measure_interfaces),
    "tracking": Kind(TrackingSettings, Tracking, measure_tracking),
    "robustness": Kind(RobustnessSettings, RobustnessComparison, measure_robustness),
    "perturbation": Kind(PerturbationSettings, Perturbation, measure_perturbation),
    "ports": Kind(PortsSettings, Ports, measure_ports),
    "reality": Kind(RealitySettings, RealityComparison, measure_reality),
    "predictive": Kind(PredictiveSettings, PredictiveValue, measure_predictive),
    "identification": Kind(IdentificationSettings, Identification, measure_identification),
}
