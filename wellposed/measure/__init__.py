"""Measurements that a chapter can state without training: of a machine, of an environment, or of finished runs."""

from wellposed.measure.anatomy import Anatomy, AnatomySettings
from wellposed.measure.dissect import dissect
from wellposed.measure.interface import InterfaceComparison, InterfaceSettings, measure_interfaces
from wellposed.measure.kinds import Kind
from wellposed.measure.life import ProofOfLife, ProofOfLifeSettings, measure_life
from wellposed.measure.lift import Lift, LiftSettings, measure_lift
from wellposed.measure.perturbation import Perturbation, PerturbationSettings, measure_perturbation
from wellposed.measure.ports import Ports, PortsSettings, measure_ports
from wellposed.measure.robustness import RobustnessComparison, RobustnessSettings, measure_robustness
from wellposed.measure.split import Split, SplitSettings, measure_split
from wellposed.measure.stress import Stress, StressSettings, measure_stress
from wellposed.measure.tracking import Tracking, TrackingSettings, measure_tracking

MEASUREMENTS: dict[str, Kind] = {
    "proof_of_life": Kind(ProofOfLifeSettings, ProofOfLife, measure_life),
    "anatomy": Kind(AnatomySettings, Anatomy, dissect),
    "lift": Kind(LiftSettings, Lift, measure_lift),
    "split": Kind(SplitSettings, Split, measure_split),
    "stress": Kind(StressSettings, Stress, measure_stress),
    "interface": Kind(InterfaceSettings, InterfaceComparison, measure_interfaces),
    "tracking": Kind(TrackingSettings, Tracking, measure_tracking),
    "robustness": Kind(RobustnessSettings, RobustnessComparison, measure_robustness),
    "perturbation": Kind(PerturbationSettings, Perturbation, measure_perturbation),
    "ports": Kind(PortsSettings, Ports, measure_ports),
}
