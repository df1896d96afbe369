"""The line of a key is the one a person finds it on, in TOML and in JSON."""

import json
import re

import pytest

from course.chapters.edited import difference, json_line, with_line
from course.chapters.tables import toml_lines
from wellposed.errors import UserError

TOML = '''# a comment
number = 4
summary = """two
lines"""
[experiments.one]
seeds = [
  1,
  2]
base.agent.gamma = 1  # dotted
[experiments.one.variants."no hindsight"]
"replay.k" = 0
inline = {a = 1, b = [{c = 2}]}

[[criteria]]
says = "the first"
[[criteria]]
says = "[[the second]]"
[criteria.more]
x = 1
[[criteria.parts]]
y = 1
[[criteria.parts]]
y = 2
'''
JSON = json.dumps({"a": {"b,]": [1, {"c": '}\\"\n'}, 3]}, "d": [[1, 2], [3]], "e": {}, "f": -1.5e3}, indent=2)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("number",), "number = 4"),
        (("summary",), 'summary = """two'),
        (("experiments", "one"), "[experiments.one]"),
        (("experiments", "one", "seeds", 1), "seeds = ["),
        (("experiments", "one", "base", "agent", "gamma"), "base.agent.gamma"),
        (("experiments", "one", "variants", "no hindsight", "replay.k"), '"replay.k"'),
        (("experiments", "one", "variants", "no hindsight", "inline", "b", 0, "c"), "inline"),
        (("criteria", 0, "says"), "the first"),
        (("criteria", 1), None),
        (("criteria", 1, "says"), "the second"),
        (("criteria", 1, "more", "x"), "x = 1"),
        (("criteria", 1, "parts", 0, "y"), "y = 1"),
        (("criteria", 1, "parts", 1, "y"), "y = 2"),
    ],
)
def test_a_key_of_toml_has_the_line_it_stands_on(place, text):
    lines, found = TOML.splitlines(), toml_lines(TOML)
    if text is None:
        assert lines[found[place] - 1] == "[[criteria]]"
        assert found[place] > found["criteria", 0]
    else:
        assert text in lines[found[place] - 1]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("a", "b,]", 1, "c"), '"c":'),
        (("a", "b,]", 2), "3"),
        (("d", 1, 0), "3"),
        (("e",), '"e": {}'),
        (("e", "x"), '"e": {}'),
        (("f",), "-1500"),
        (("d", 7), '"d": ['),
        (("a", "not there"), '"a": {'),
        ((), "{"),
    ],
)
def test_a_value_of_json_has_the_line_it_stands_on(place, text):
    assert text in JSON.splitlines()[json_line(JSON, place) - 1]


@pytest.mark.parametrize(
    ("found", "expected", "place"),
    [
        ({"a": 1, "more": 2}, {"a": 1}, None),
        ({"a": 1.0 + 1e-13}, {"a": 1}, None),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ("a", 1, "b")),
        ({"a": [1]}, {"a": [1, 2]}, ("a",)),
        ({}, {"a": None}, ("a",)),
        ({"a": True}, {"a": 1}, ("a",)),
        ({"a": None}, {"a": 0}, ("a",)),
        ({"a": "x"}, {"a": "y"}, ("a",)),
        ([], {"a": 1}, ()),
    ],
)
def test_the_first_difference_is_found(found, expected, place):
    assert difference(found, expected) == place


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("Expected `int`, got `str` - at `$.a[...][1].c`. It was edited.", '"c":'),
        ("Expected `int`, got `float` - at `$.f`.", "-1500"),
        ("Expected `str`, got `array` - at `$.d[1]`.", "["),
        ("Object missing required field `zz` - at `$.a`.", '"a":'),
        ("Object missing required field `zz`. Edited.", "{"),
        ("unknown key f. Edited.", '"f":'),
    ],
)
def test_what_a_decoder_says_gets_its_line(tmp_path, message, line):
    file = tmp_path / "summary.json"
    file.write_text(JSON)
    said = re.fullmatch(rf"{file}, line (\d+): {re.escape(message)}", str(with_line(UserError(f"{file}: {message}"))))
    assert said is not None
    assert line in JSON.splitlines()[int(said[1]) - 1]


@pytest.mark.parametrize(
    "message", ["Something else.", "{file}: unknown key zz.", "{file}: Expected `$` - at `$.q`.", "a.json: at `$.a`"]
)
def test_what_has_no_line_stays_as_it_is(tmp_path, message):
    (tmp_path / "summary.json").write_text(JSON)
    message = message.format(file=tmp_path / "summary.json")
    assert str(with_line(UserError(message))) == message
