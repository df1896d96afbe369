"""What a chapter.toml cannot mean is refused with file, line and key; what it can mean is read."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from course.chapters.load import chapter_folders, chapter_of, find_chapters
from course.measure import MEASUREMENTS
from course.measure.kinds import Kind
from tests.chapters.tiny import TOML, load, write_chapter
from wellposed.cli import main
from wellposed.errors import UserError
from wellposed.launch.rows import folder_of
from wellposed.repository import ROOT
from wellposed.runs.record import Estimate

MEASURED = """
[measurements.counted]
kind = "counting"
of = "width.narrow 0.5"
times = 3
"""
STUDIED = """
[studies.reach]
env = "FetchReach-v4"
seeds = "0-1"
stability_seeds = "0"
budget = 320
[studies.reach.settings]
"agent.hidden" = [8]
"""
ON_COUNTED = """
[[criteria]]
says = "Counted."
of = "counted"
metric = "rates.two.value"
at_least = 0.5
"""


@dataclass(frozen=True)
class Settings:
    """What is counted."""

    of: str
    times: int = 1

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ValueError("times must be at least 1.")


@dataclass(frozen=True)
class Counted:
    """What was counted."""

    rates: dict[str, Estimate]
    ends: tuple[float, float]
    note: str | None


@pytest.fixture(autouse=True)
def counting(monkeypatch):
    monkeypatch.setitem(MEASUREMENTS, "counting", Kind(Settings, Counted, lambda *_: None))


def test_all_of_it_is_read(tmp_path):
    chapter = load(tmp_path, TOML + MEASURED + STUDIED + ON_COUNTED)
    assert (chapter.number, chapter.slug, chapter.minutes) == (4, "ch04_hindsight", 3)
    (runs,) = chapter.experiments["width"].runs.values()
    assert [(one.seed, one.agent.hidden, one.until_success) for one in runs] == [(0, (8,), 0.98)]
    assert chapter.measurements["counted"].settings == Settings("width.narrow 0.5", 3)
    assert chapter.studies["reach"].recipe.total_steps == 320
    assert chapter.studies["reach"].recipe.agent.hidden == (8,)
    assert chapter.files() == {
        "width.json": "experiment",
        "counted.json": "counting",
        "study_reach/study.json": "study",
    }
    assert [criterion.bounds for criterion in chapter.criteria] == [["at_least"], ["equals"], ["at_least"]]
    assert chapter.runs_of('width."narrow 0.5".success.low') == ("width", "narrow 0.5", "success.low")
    assert chapter.runs_of("width.narrow 0.5.success[air]") == ("width", "narrow 0.5", "success[air]")
    assert chapter.made_by("width") == "wellposed chapter run 4"
    assert chapter.made_by("reach") == "wellposed chapter run 4 --studies"


VARIANT = '[experiments.width.variants."narrow 0.5"]\n"agent.hidden" = [8]\n'
CRITERION = TOML[TOML.index("[[criteria]]") : TOML.index("at_least")]
MARKED = CRITERION.replace("]]", "]] #!")
MISTAKES = [  # what stands there, what stands there instead with #! on the line to be named, and what is said
    ('metric = "success"', 'metric = "sucess" #!', r"\(criteria 1, metric\): .*did you mean 'success'"),
    ('statistic = "mean"', 'statistic = "average" #!', "criteria 1, statistic.*'average' does not fit"),
    (CRITERION, MARKED.replace('statistic = "mean"\n', ""), "needs a statistic: mean, low"),
    ('of = "width.narrow 0.5"', 'of = "with.narrow" #!', "no 'with'.*did you mean 'width'"),
    ('of = "width.narrow 0.5"', 'of = "width.wide" #!', "no variant 'wide'.*narrow 0.5"),
    ('of = "width.narrow 0.5"', 'of = "width" #!', "no variant"),
    ('of = "width.narrow 0.5"', 'of = "width.narrow 0.5.x" #!', "remove 'x'"),
    (CRITERION, MARKED + "at_most = 1\n", "exactly one of at_least.* this one has 2"),
    ("at_least = 0.0", 'at_least = "much" #!', "Expected `float"),
    ("at_least = 0.0", 'inside = "width.narrow 0.5.sucess" #!', "no metric 'sucess'"),
    ("at_least = 0.0", 'inside = "floor.ci95" #!', "neither EXPERIMENT.VARIANT.METRIC nor"),
    ("at_least = 0.0", "atleast = 0.0 #!", "no key 'atleast' here; did you mean 'at_least'"),
    (
        "[[deliverables]]",
        '[[deliverables]] #!\nfile = "width.json"\nsays = ""\n[[deliverables]]',
        "key schema is missing",
    ),
    ('schema = "experiment"', 'schema = "study" #!', "has the schema 'experiment'"),
    ('file = "width.json"', 'file = "../width.json" #!', "Nothing creates '../width.json'"),
    ('"agent.hidden" = [8]', '"agent.hiden" = [8] #!', "no setting 'agent.hiden'"),
    ('"agent.hidden" = [8]', 'agent.hidden = "wide" #!', "variants, narrow 0.5, agent, hidden.*Expected"),
    ('"agent.batch_size" = 16', '"agent.batch_size" = 0 #!', "must be greater than 0"),
    ("eval_every = 80", "eval_every = 80\nseed = 3 #!", "seed is set for the whole"),
    ("until_success = 0.98", "until_success = 98 #!", "is a share between 0 and 1"),
    ('env = "FetchReach-v4"', 'env = "FetchReech-v4" #!', "experiments, width, env.*Did you mean FetchReach-v4"),
    ('env = "FetchReach-v4"', 'env = "os:FetchReach-v4" #!', "names a module"),
    ('seeds = "0"', 'seeds = "0,0" #!', "distinct seeds"),
    (VARIANT, "[experiments.width.variants]\n", "experiments, width.*at least one variant"),
    (VARIANT, f"{VARIANT}[experiments.width.variants.same] #!\nagent.hidden = [8]", "configuration of 'narrow 0.5'"),
    ("[experiments.width]", "[experiments.Width] #!", "lower-case letters"),
    ("number = 4", "number = 5 #!", "Chapter 5 does not match the name of its folder"),
    ("number = 4", 'number = "4" #!', "Expected `int`"),
    ("minutes = 3\n", "", "chapter.toml: The key minutes is missing"),
    ("minutes = 3", "minutes = 3\nminuts = 4 #!", "did you mean 'minutes'"),
    ("[experiments.width]", "[experiments.width", "not valid TOML.*line 8"),
    ("[[deliverables]]", '[videos]\nreached = "width.wide" #!\n[[deliverables]]', "no variant 'wide'"),
    ("[[deliverables]]", '[videos]\nchance = "Nothing-v0" #!\n[[deliverables]]', "Nothing-v0"),
    ("[[deliverables]]", '[videos]\nchance = "my_env:make" #!\n[[deliverables]]', "names a module"),
    ("[[criteria]]", "experiments = 3\n[[criteria]]", "does not fit|There is no key 'experiments' here"),
]
OTHER_MISTAKES = [
    ('kind = "counting"', 'kind = "countng" #!', "did you mean 'counting'"),
    ('[measurements.counted]\nkind = "counting"', "[measurements.counted] #!", "needs the key kind"),
    ("times = 3", "times = 0", "measurements, counted.*times must be at least 1"),
    ("times = 3", "tims = 3 #!", "did you mean 'times'"),
    ('of = "width.narrow 0.5"\ntimes', 'of = "width.wide" #!\ntimes', "no variant 'wide'"),
    ('of = "width.narrow 0.5"\ntimes', 'of = "elsewhere.wide" #!\ntimes', "no experiment 'elsewhere'"),
    ('"rates.two.value"', '"rats.two.value" #!', "'rats'; did you mean 'rates'"),
    ('"rates.two.value"', '"rates.two.valu" #!', "did you mean 'value'"),
    ('"rates.two.value"', '"ends.2" #!', "there is no '2'"),
    ('"rates.two.value"', '"note.x" #!', "there is no 'x'"),
    ('"rates.two.value"', '"rates..value" #!', "not a dotted path"),
    ('of = "counted"', 'of = "counted"\nstatistic = "mean" #!', "not a set of runs"),
    ("[studies.reach]", "[studies.width] #!", "There is 'width' in .experiments. already"),
    ("budget = 320", "budget = 0", "studies, reach.*greater than 0"),
    ('stability_seeds = "0"', 'stability_seeds = "x" #!', "distinct seeds"),
    ('stability_seeds = "0"', "doublings = 4 #!", "doublings is between 1 and 3"),
    ('[studies.reach.settings]\n"agent.hidden"', '[studies.reach.settings]\n"agent.hiden"', "no setting 'agent.hiden'"),
    ("budget = 320", "bar = 1.5 #!", "bar is a share above 0"),
    ("budget = 320", 'parts = ["all"] #!', "Invalid enum value"),
]


TAUGHT = """
[experiments.taught]
title = "Does it help to begin with a trained run?"
env = "FetchReach-v4"
seeds = "0-1"
[experiments.taught.base]
total_steps = 160
[experiments.taught.variants.pupil]
init_from = "width.narrow 0.5"
"""
TEACHING = [
    ('init_from = "width.narrow 0.5"', 'init_from = "width.wide" #!', "There is no 'width.wide' above"),
    ('init_from = "width.narrow 0.5"', 'init_from = "taught.pupil" #!', "There is no 'taught.pupil' above"),
    ('init_from = "width.narrow 0.5"', 'init_from = "width.narrow 0.5" #!', "is not trained with seed 1"),
]


def test_a_variant_begins_with_the_run_of_another_of_the_same_seed(tmp_path):
    chapter = load(tmp_path, TOML.replace('seeds = "0"', 'seeds = "0-1"', 1) + TAUGHT)
    teachers, pupils = (chapter.experiments[of].runs for of in ("width", "taught"))
    names = [folder_of(config, tmp_path).name for config in teachers["narrow 0.5"]]
    assert [f"{config.init_from}_s{config.seed}" for config in pupils["pupil"]] == names
    again = TAUGHT.replace("taught", "again").replace("width.narrow 0.5", "taught.pupil")
    with pytest.raises(UserError, match="begins with another run itself"):
        load(tmp_path, TOML.replace('seeds = "0"', 'seeds = "0-1"', 1) + TAUGHT + again)


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [(TOML, *case) for case in MISTAKES]
    + [(TOML + TAUGHT, *case) for case in TEACHING]
    + [(TOML + MEASURED + STUDIED + ON_COUNTED, *case) for case in OTHER_MISTAKES],
)
def test_a_mistake_is_named_with_its_line(tmp_path, text, old, new, message):
    assert old in text
    text = text.replace(old, new, 1)
    with pytest.raises(UserError, match=f"(?s){message}") as said:
        load(tmp_path, text)
    assert str(said.value).startswith(f"{tmp_path}/chapters/ch04_hindsight/chapter.toml")
    for number, line in enumerate(text.splitlines(), 1):
        if "#!" in line:
            assert f"chapter.toml, line {number} (" in str(said.value)


def test_what_a_run_without_a_bar_does_not_have(tmp_path):
    text = TOML.replace("until_success = 0.98\n", "")
    assert load(tmp_path, text).experiments["width"].question.until_success is None
    with pytest.raises(UserError, match="no until_success, so it has no steps"):
        load(tmp_path, text.replace('metric = "end_steps"', 'metric = "steps"'))


def test_no_criterion_rests_on_a_study(tmp_path):
    with pytest.raises(UserError, match="width is a study"):
        load(tmp_path, TOML.replace("[experiments.width.base]", "study = true\n[experiments.width.base]"))


def test_chapters_are_found_by_number(tmp_path, monkeypatch):
    chapters = write_chapter(tmp_path).parent
    assert find_chapters(chapters) == chapters
    assert list(chapter_folders(chapters)) == [4]
    with pytest.raises(UserError, match=r"There is no chapter 7 .*; there are 4"):
        chapter_of(chapters, 7)
    with pytest.raises(UserError, match=r"no chapters in .*--chapters DIR"):
        find_chapters(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert find_chapters() == Path("chapters")
    (chapters / "ch04_again").mkdir()
    (chapters / "ch04_again" / "chapter.toml").write_text(TOML)
    with pytest.raises(UserError, match=r"ch04_again and .*ch04_hindsight have the same number"):
        chapter_of(chapters, 4)


def test_a_broken_chapter_hides_no_other(tmp_path, capsys):
    chapters = write_chapter(tmp_path).parent
    (chapters / "ch05_broken").mkdir()
    (chapters / "ch05_broken" / "chapter.toml").write_text(TOML)
    assert main(["chapter", "list", "--chapters", str(chapters)]) == 1
    out = capsys.readouterr().out
    assert " 4  Hindsight (3 min + 60 min of studies; not published)\n    A tiny chapter." in out
    assert f" 5  broken: {chapters}/ch05_broken/chapter.toml, line 2 (number): " in out


@pytest.mark.parametrize("folder", sorted((ROOT / "chapters").glob("ch*")), ids=lambda folder: folder.name)
def test_the_chapters_of_the_repository_are_sound(folder):
    assert chapter_of(folder.parent, int(folder.name[2:4])).folder == folder
