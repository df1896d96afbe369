"""What `wellposed diagnose` says of the chapters' own runs, sound ones and spoilt ones, at full length.

For each variant: how many runs there are, and which rules found something, at the end of a run and at any evaluation
before. The rules saw none of these runs while they were written, except those of `half_learnt` and the entropy in
`critic_divergence`, which chapter 5's dense runs and chapter 3's hot ones asked for.

    python -m benchmarks.alarms runs/chapters       # after `wellposed chapter run 2`, 3, 4 and 5
"""

import argparse
from collections import Counter
from pathlib import Path

from benchmarks.machine import print_header
from course.chapters.gather import Runs
from course.chapters.load import chapter_folders, find_chapters, load_chapter
from wellposed.diagnose import diagnose, read_evidence


def found_in(path: Path) -> tuple[set[str], set[str]]:
    """The rules that find something in a run at its end, and at any evaluation."""
    evidence = read_evidence(path)
    moments = [evidence.until(row.step) for row in evidence.evaluations]
    ever = {finding.name for moment in moments for finding in diagnose(moment).findings}
    return {finding.name for finding in diagnose(evidence).findings}, ever


def told(counts: Counter[str]) -> str:
    """Rules and how many runs they found something in."""
    return ", ".join(f"{rule} {count}" for rule, count in counts.most_common()) or "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, metavar="DIR", help="the chapters' runs")
    runs = Runs(parser.parse_args().runs)
    print_header("Findings in the chapters' own runs", "jax", "mujoco")
    seen = set[Path]()
    for number, folder in chapter_folders(find_chapters()).items():
        for experiment, asked in load_chapter(folder).experiments.items():
            for variant, configs in asked.runs.items():
                ended = [path for path in map(runs.path, configs) if (path / "summary.json").exists()]
                if seen.issuperset(ended):  # none, or those of an experiment before
                    continue
                seen.update(ended)
                end, ever = Counter[str](), Counter[str]()
                for path in ended:
                    now, before = found_in(path)
                    end.update(now)
                    ever.update(before | now)
                line = f"{len(ended)} runs; end: {told(end)}; ever: {told(ever)}"
                print(f"{number} {experiment:<18} {variant:<16} {line}")


if __name__ == "__main__":
    main()
