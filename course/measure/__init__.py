"""Measurements that a chapter can state without training: of a machine, of an environment, or of finished runs."""

from course.measure.contact import Contact, ContactSettings, measure_contact
from course.measure.copies import Copies, CopiesSettings, measure_copies
from course.measure.guarded import Guarded, GuardedSettings, measure_guarded
from course.measure.interface import InterfaceComparison, InterfaceSettings, measure_interfaces
from course.measure.jamming import Jamming, JammingSettings, measure_jamming
from course.measure.kinds import Kind
from course.measure.life import ProofOfLife, ProofOfLifeSettings, measure_life
from course.measure.lift import Lift, LiftSettings, measure_lift
from course.measure.perturbation import Perturbation, PerturbationSettings, measure_perturbation
from course.measure.pictures import GoalPictures, GoalPicturesSettings, measure_goal_pictures
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
from course.measure.search import Search, SearchSettings, measure_search
from course.measure.seen import Seen, SeenSettings, measure_seen
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
    "seen": Kind(SeenSettings, Seen, measure_seen),
    "goal_pictures": Kind(GoalPicturesSettings, GoalPictures, measure_goal_pictures),
    "contact": Kind(ContactSettings, Contact, measure_contact),
    "jamming": Kind(JammingSettings, Jamming, measure_jamming),
    "guarded": Kind(GuardedSettings, Guarded, measure_guarded),
    "search": Kind(SearchSettings, Search, measure_search),
    "copies": Kind(CopiesSettings, Copies, measure_copies),
    "reality": Kind(RealitySettings, RealityComparison, measure_reality),
    "predictive": Kind(PredictiveSettings, PredictiveValue, measure_predictive),
    "identification": Kind(IdentificationSettings, Identification, measure_identification),
}
