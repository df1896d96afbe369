"""Why is it not learning: rules over a run's record, each with its evidence, its lesson and one change to try."""

from wellposed.diagnose.evidence import Evidence, read_evidence
from wellposed.diagnose.judge import Diagnosis, diagnose, lines, tell

__all__ = ["Diagnosis", "Evidence", "diagnose", "lines", "read_evidence", "tell"]
