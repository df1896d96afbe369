"""The table of the fault benchmark: which rule named each run, how soon, and what was said of the sound ones."""

from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.faults import cases, ended, folder_of, seeds_of
from benchmarks.injections import Case
from wellposed.diagnose import Evidence, diagnose, read_evidence
from wellposed.stats import describe_interval, wilson

STOP_WORDS = ("stop train", "stop the", "abort", "give up", "cancel", "kill", "terminate the", "end the run")


@dataclass(frozen=True)
class Judged:
    """One run under the rules: what they name at its end, after a quarter of the budget, and ever."""

    case: str
    finding: str | None  # what should be named
    task: str
    seed: int
    steps: int
    updates: int
    phase: str
    success: float
    named: list[str]
    quarter: list[str]
    ever: list[str]  # any finding at any evaluation, as a person who watches would be told
    told_to_stop: bool

    def top(self, n: int) -> bool:
        """Whether the true fault is among the first n that are named."""
        return self.finding in self.named[:n]


def judge(case: Case, task: str, seed: int, evidence: Evidence) -> Judged:
    """Apply the rules to a record as it is, as it was at a quarter of the budget, and as it was at each evaluation."""
    config, moments = evidence.config, sorted({row.step for row in evidence.rows})
    # An evaluation falls on the first step of all envs that reaches its mark, so a quarter may be that much late.
    quarter = evidence.until(config.total_steps // 4 + config.num_envs)
    found, early = diagnose(evidence), diagnose(quarter)
    each = [diagnose(evidence.until(step)) for step in moments]
    said = [f"{finding.evidence} {finding.advice}" for moment in each for finding in moment.findings]
    return Judged(
        case.name, case.finding, task, seed, found.step, evidence.updates, found.phase.name,
        evidence.evaluations[-1].success_rate if evidence.evaluations else 0.0,
        [finding.name for finding in found.findings],
        [finding.name for finding in early.findings],
        sorted({finding.name for moment in each for finding in moment.findings}),
        any(word in text.lower() for text in said for word in STOP_WORDS),
    )  # fmt: skip


def read_runs(root: Path, tasks: list[str], purpose: str) -> list[Judged]:
    """Every record there is, judged."""
    rows = []
    for case in cases().values():
        for task in tasks:
            for name, seed in seeds_of(case).items():
                for path in sorted(folder_of(root, case, task).glob(f"*_s{seed}")):
                    if purpose in (name, "all") and ended(path):
                        rows.append(judge(case, task, seed, read_evidence(path)))
    return rows


def share(hits: list[bool]) -> str:
    """`18/20, 90 % (95 % CI 69.9-97.2)`."""
    if not hits:
        return "none"
    rate = wilson(sum(hits), len(hits))
    return f"{sum(hits)}/{len(hits)}, {rate.estimate:.0%} ({describe_interval((rate.low, rate.high))})"


def print_table(root: Path, tasks: list[str], purpose: str) -> list[dict]:
    """Print everything; returns the rows as data."""
    from benchmarks.machine import print_header

    rows = read_runs(root, tasks, purpose)
    faulty, healthy = [row for row in rows if row.finding], [row for row in rows if not row.finding]
    print_header(f"faults named by wellposed diagnose, seeds to {purpose}", "jax", "mujoco")
    for group, name in ((faulty, "faulty"), (healthy, "sound")):
        steps, updates = (sum(getattr(row, field) for row in group) for field in ("steps", "updates"))
        seeds = ", ".join(str(seed) for seed in sorted({row.seed for row in group}))
        print(f"{len(group)} {name} runs, seeds {seeds}, {steps:,} environment steps, {updates:,} gradient updates")
    print(f"\nnamed first                {share([row.top(1) for row in faulty])}; asked at least 80 %")
    print(f"among the first two        {share([row.top(2) for row in faulty])}; asked at least 92 %")
    early = [row.finding in row.quarter[:1] for row in faulty]
    print(f"first, from a quarter      {share(early)}; asked at least 60 %")
    print(f"false alarms at the end    {share([bool(row.named) for row in healthy])}; asked at most 5 %")
    print(f"false alarms at a quarter  {share([bool(row.quarter) for row in healthy])}")
    print(f"false alarms at any moment {share([bool(row.ever) for row in healthy])}")
    print(f"told to stop               {share([row.told_to_stop for row in rows])}; asked none\n")
    print(f"{'fault':<26} {'task':<14} {'first':>6} {'two':>6} {'early':>6}  success at the end, named first instead")
    for name in dict.fromkeys(row.case for row in faulty):
        for task in tasks:
            print_case([row for row in faulty if (row.case, row.task) == (name, task)])
    print(f"\n{'sound recipe':<26} {'task':<14} {'phase at the end':<18} success, false alarms ever")
    for row in healthy:
        print(f"{row.case:<26} {row.task:<14} {row.phase:<18} {row.success:>4.0%}  {', '.join(row.ever)}")
    return [asdict(row) for row in rows]


def print_case(runs: list[Judged]) -> None:
    """One fault on one task."""
    if not runs:
        return
    first, two = (f"{sum(run.top(n) for run in runs)}/{len(runs)}" for n in (1, 2))
    early = f"{sum(run.finding in run.quarter[:1] for run in runs)}/{len(runs)}"
    wrong = ", ".join(run.named[0] if run.named else "nothing" for run in runs if not run.top(1))
    success = ", ".join(f"{run.success:.0%}" for run in runs)
    print(f"{runs[0].case:<26} {runs[0].task:<14} {first:>6} {two:>6} {early:>6}  {success}  {wrong}".rstrip())
