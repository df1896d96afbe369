"""An environment of a person's own: one name everywhere, and imported only where a person named it."""

import re
import shlex
import shutil
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import wellposed as wp
from course.chapters.load import load_chapter
from tests.test_resume import Stop
from wellposed import budget, envs, plugin, serialise
from wellposed.agents import SAC
from wellposed.check import certify
from wellposed.check.stored import origin_of
from wellposed.cli import main
from wellposed.envs.gym import _MEASURED
from wellposed.envs.make import EnvConfig, make_env
from wellposed.errors import UserError
from wellposed.launch.answers import run_experiment
from wellposed.plan import calibrate
from wellposed.runs.store import RunReader, run_name
from wellposed.runs.writer import RunWriter
from wellposed.training import here
from wellposed.verdict import assess, load_run

NAME = "own.py:make"
TINY = ["--total-steps", "600", "--num-envs", "4", "--random-steps", "200", "--eval-every", "300"]
TINY += ["--eval-episodes", "2", "--agent.hidden", "8", "--agent.batch-size", "16", "--quiet"]


def as_new() -> None:
    """Makes this process one that has imported nothing of a person's own, and was told no name."""
    plugin.ALLOWED.clear()
    gym.registry.pop("Own-v0", None)
    sys.modules.pop("own", None)
    _MEASURED.clear()
    budget.environment_spec.cache_clear()


@pytest.mark.parametrize("name", ["own.py:make", "own.py:Own-v0", "own:make", "own:Own-v0", "./own.py:make"])
@pytest.mark.usefixtures("own")
def test_every_way_to_name_it_makes_the_same_environment(name):
    env = wp.make_vec(name, 2)
    obs, _ = env.reset(seed=3)
    assert (env.max_episode_steps, obs["observation"].shape) == (50, (2, 2))
    theirs = sys.modules["own"].make().reset(seed=3)[0]
    assert np.array_equal(obs["desired_goal"][0], theirs["desired_goal"])


def test_a_file_is_one_module_whatever_its_path_and_its_own_entry_points_find_it(own, tmp_path):
    for name in ("own.py:make", "own:make", f"{tmp_path}/own.py:make"):
        plugin.allow_import(name)
        assert plugin.import_named(name) == (sys.modules["own"], "make")
    (tmp_path / "other").mkdir()
    other = shutil.copy(own, tmp_path / "other" / "own.py")
    gym.registry.pop("Own-v0")
    plugin.allow_import(f"{other}:make")
    assert plugin.import_named(f"{other}:make")[0] is not sys.modules["own"]


@pytest.mark.parametrize("stem", ["random", "numpy", "no-name"])
def test_a_file_hides_no_module_of_its_name(own, tmp_path, stem):
    file = Path(shutil.copy(own, tmp_path / f"{stem}.py"))
    plugin.allow_import(f"{file}:make")
    before = sys.modules.get(stem)
    module, _ = plugin.import_named(f"{file}:make")
    assert module.__file__ == str(file)
    assert sys.modules.get(stem) is before


@pytest.mark.usefixtures("few_held_out")
@pytest.mark.slow
@pytest.mark.usefixtures("own")
def test_it_is_trained_stopped_taken_up_judged_reproduced_and_reported_by_the_printed_lines(monkeypatch, capsys):
    with monkeypatch.context() as patch:
        Stop(patch, SAC, "update", 20)
        assert main(["train", NAME, *TINY]) == 130
    told = capsys.readouterr().err
    assert re.search(rf"commands that read this run need --allow-import {NAME}$", told, re.MULTILINE)
    (line,) = re.findall(r"resume with: wellposed (.*)", told)

    as_new()
    (run,) = Path("runs").iterdir()
    assert main(["resume", str(run), "--quiet"]) == 1
    assert f"add --allow-import {NAME}" in capsys.readouterr().err
    assert "own" not in sys.modules
    assert main([*shlex.split(line), "--quiet"]) == 0

    data = [
        ["eval", str(run), "--episodes", "2"],
        ["reproduce", str(run), "--quiet"],
        ["report", str(run), "--no-video"],
    ]
    for words in data:
        as_new()
        assert main(words) == 1, words
        assert main([*words, "--allow-import", NAME]) == 0, words
    as_new()
    assert main(["diagnose", str(run)]) in (0, 1)
    assert "own" not in sys.modules  # rows say it all
    capsys.readouterr()
    assert main(["train", NAME, *TINY]) == 1
    assert "two runs are never mixed" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("own")
def test_a_file_that_lies_elsewhere_now_is_named_again(tmp_path, monkeypatch, capsys):
    assert main(["train", NAME, *TINY, "--total-steps", "300"]) == 0
    run = capsys.readouterr().out.splitlines()[-1]
    as_new()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["eval", f"../{run}", "--episodes", "2", "--allow-import", NAME]) == 1
    assert "There is no file" in capsys.readouterr().err
    assert main(["eval", f"../{run}", "--episodes", "2", "--allow-import", f"../{NAME}"]) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("own")
def test_it_is_used_from_python_by_the_same_name():
    small = wp.SACConfig(hidden=(8,), batch_size=16)
    config = replace(
        wp.default_config(NAME), total_steps=300, num_envs=4, random_steps=100, eval_episodes=2, agent=small
    )
    run, _ = wp.train(config, "runs", quiet=True)
    assert wp.load_run(run)[0] == config
    as_new()
    with pytest.raises(UserError, match=r"wellposed.allow_import\('own.py:make'\)"):
        wp.assess(run, episodes=2)
    wp.allow_import(NAME)
    assert wp.assess(run, episodes=2).env == NAME


@pytest.mark.slow
@pytest.mark.usefixtures("own")
def test_plan_measures_it_in_a_process_of_its_own():
    config = replace(wp.default_config("own:make"), num_envs=2, eval_episodes=2, agent=wp.SACConfig(hidden=(8,)))
    assert calibrate([config], 1, seconds=0.5).rates.collect > 0


@pytest.mark.slow
@pytest.mark.usefixtures("own")
def test_check_and_anatomy_take_the_name(capsys):
    assert main(["check", NAME]) == 0
    assert f"{NAME}: ready" in capsys.readouterr().out
    as_new()
    assert main(["anatomy", "own:Own-v0", "--resets", "20", "--episodes", "2", "--quiet"]) == 0


# --- who may import


@pytest.fixture
def spy(tmp_path, monkeypatch):
    """A module in the current directory that leaves a trace when it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "spy_of_a_test.py").write_text("open('imported', 'w').close()\ndef make(): pass\n")
    yield tmp_path / "imported"
    sys.modules.pop("spy_of_a_test", None)


def forged(folder: Path, name: str) -> Path:
    """A record that names an environment which nobody named to us."""
    config = serialise.to_dict(replace(wp.default_config("FetchReach-v4"), env=EnvConfig(name)))
    with RunWriter(folder, config, here(threads=1)) as run:
        return run.path


QUESTION = 'title = "?"\nenv = "{name}"\nseeds = "0"\nuntil_success = 0.9\n[base]\n[variants.it]\n'
CHAPTER = 'title = "?"\n[experiments.it]\ntitle = "?"\nenv = "{name}"\nseeds = "0"\n[experiments.it.variants.it]\n'


def experiment(name: str) -> None:
    Path("question.toml").write_text(QUESTION.format(name=name))
    list(run_experiment(Path("question.toml"), Path("runs"), 1, True))


def chapter(name: str) -> None:
    Path("chapter.toml").write_text(CHAPTER.format(name=name))
    load_chapter(Path())


ENTRANCES = {
    "eval": lambda name: assess(forged(Path("runs"), name)),
    "load": lambda name: load_run(forged(Path("runs"), name)),
    "resume": lambda name: list(wp.resume([forged(Path("runs"), name)], quiet=True)),
    "experiment": experiment,
    "chapter": chapter,
    "make": lambda name: make_env(EnvConfig(name), 1, "evaluation"),
    "make_vec": envs.make_vec,
    "train": lambda name: wp.train(wp.RunConfig(EnvConfig(name)), "runs", quiet=True),
    "certify": lambda name: certify(name, gamma=0.9),
    "origin": lambda name: origin_of(name, {}),
}


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize(
    "name", ["spy_of_a_test:make", "spy_of_a_test:X-v0", "spy_of_a_test.py:make", "antigravity:X-v0"]
)
def test_what_is_read_from_data_is_not_imported(spy, entrance, name):
    with pytest.raises(UserError):
        ENTRANCES[entrance](name)
    assert not spy.exists()
    assert "antigravity" not in sys.modules


def test_the_permission_is_for_one_name(spy):
    plugin.allow_import("spy_of_a_test:other")
    with pytest.raises(UserError, match="add --allow-import spy_of_a_test:make"):
        envs.make_vec("spy_of_a_test:make")
    plugin.allow_import("spy_of_a_test:make")
    with pytest.raises(UserError, match=r"returned None, which is not a gymnasium\.Env"):
        envs.make_vec("spy_of_a_test:make")
    assert spy.exists()


@pytest.mark.parametrize("words", [[], ["FetchReach-v4"], ["--seeds"]])
def test_a_permission_without_a_name_is_a_sentence(words, capsys):
    assert main(["envs", "--allow-import", *words]) == 1
    assert "--allow-import takes the name of an environment, as my_env:make" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1 / 0\n", "own_broken.py, line 1: ZeroDivisionError"),
        ("raise SystemExit(3)\n", "own_broken.py, line 1: SystemExit: 3"),
        ("def make(size): pass\n", "could not be made: TypeError"),
        ("make = 3\n", "make is neither a function nor a class there, and Gymnasium could not make it"),
    ],
)
@pytest.mark.usefixtures("own")
def test_a_file_that_does_not_work_is_a_sentence(tmp_path, text, message):
    (tmp_path / "own_broken.py").write_text(text)
    with pytest.raises(UserError, match=message):
        wp.make_vec("own_broken.py:make")


# --- arguments and a limit of time


@pytest.mark.slow
@pytest.mark.usefixtures("own")
def test_arguments_and_a_limit_are_part_of_the_configuration_and_its_name(capsys):
    about = ["--env.kwargs", "unit=0.01", "offset=[3, 4]", "sees=goals", "--env.max-episode-steps", "20"]
    assert main(["train", "own.py:Own", *about, *TINY, "--total-steps", "300"]) == 0
    run = capsys.readouterr().out.splitlines()[-1]
    env = RunReader(run).config["env"]
    assert env["kwargs"] == {"unit": 0.01, "offset": [3, 4], "sees": "goals"}
    assert env["max_episode_steps"] == 20
    config = load_run(run)[0]
    other = replace(config, env=replace(config.env, kwargs={"unit": 0.1}))
    assert len({run_name(serialise.to_dict(one)) for one in (config, other)}) == 2
    with closing(envs.make_vec("own.py:Own", **config.env.arguments)) as made:
        assert made.reset(seed=0)[0]["achieved_goal"] == pytest.approx(np.array([[3, 4]]), abs=0.02)


@pytest.mark.usefixtures("own")
def test_a_limit_that_the_environment_does_not_let_be_longer_is_refused():
    plugin.allow_import(NAME)
    for name, steps in ((NAME, 30), ("own.py:Own", 70), ("own.py:Own-v0", 70)):
        plugin.allow_import(name)
        assert make_env(EnvConfig(name, max_episode_steps=steps), 1, "evaluation").spec.max_episode_steps == steps
    with pytest.raises(UserError, match="cuts its episodes after 50 steps itself"):
        make_env(EnvConfig(NAME, max_episode_steps=70), 1, "evaluation")


@pytest.mark.usefixtures("own")
def test_one_without_a_limit_is_told_how_to_get_one():
    with pytest.raises(UserError, match=r"--env\.max-episode-steps N"):
        wp.make_vec("own.py:Own")


# --- where it comes from


def test_provenance_holds_source_packages_and_flags_of_it(own, tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("SIZE = 1\n")
    own.write_text(own.read_text().replace("import numpy as np", "import numpy as np\nimport scipy\nimport beside", 1))
    plugin.allow_import(NAME)
    first = origin_of(NAME, {})
    assert {"numpy", "gymnasium", "scipy"} <= first.versions.keys()
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX")
    found = here(1, first)
    assert found.environment == first.source
    assert found.packages["scipy"] == first.versions["scipy"]
    assert found.flags is not None
    assert (found.flags["XLA_FLAGS"], found.flags["jax_enable_x64"]) == ("--xla_cpu_max_isa=AVX", "False")
    (tmp_path / "beside.py").write_text("SIZE = 2\n")
    assert origin_of(NAME, {}).source != first.source  # of all code that lies beside it


def test_a_record_from_before_they_were_recorded_stays_as_it_was():
    data = serialise.to_dict(replace(here(1), flags=None))
    assert not {"flags", "environment"} & data.keys()
