"""Regions of source files by name: the lines that stand there, no more and no less."""

import pytest

from course.book.pages import region
from wellposed.errors import UserError

SOURCE = '''"""A module."""
import functools

# Why it is 3.
# Source: nobody.
LIMIT: int = 3
OTHER = 4


@functools.cache
def outer(x):
    """Doc."""
    def inner():
        return 1

    return x


class Thing:
    size = 2

    @property
    def name(self):
        return "thing"
'''


@pytest.fixture
def root(tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "mod.py").write_text(SOURCE)
    (tmp_path / "pkg" / "broken.py").write_text("def f(:\n")
    (tmp_path / "outside.py").write_text("x = 1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "first", "last", "begins"),
    [
        ("#LIMIT", 4, 6, "# Why"),
        ("#OTHER", 7, 7, "OTHER"),
        ("#outer", 10, 16, "@functools"),
        ("#Thing", 19, 24, "class"),
        ("#Thing.name", 22, 24, "@property"),
        ("#Thing.size", 20, 20, "size"),
        ("", 1, 24, '"""A'),
    ],
)
def test_a_region_is_the_lines_of_its_name(root, name, first, last, begins):
    found = region(root, f"pkg/mod.py{name}")
    assert (found.file, found.first, found.last) == ("pkg/mod.py", first, last)
    assert found.code.startswith(begins)
    indented = [line.strip() for line in SOURCE.splitlines()[first - 1 : last]]
    assert [line.strip() for line in found.code.splitlines()] == indented


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("pkg/mod.py#nothing", "outer, Thing"),
        ("pkg/mod.py#outer.inner", "there is: nothing"),
        ("pkg/mod.py#Thing.nothing", "size, name"),
        ("pkg/other.py#f", "no source file"),
        ("pkg/broken.py#f", "not Python"),
        ("pkg", "no source file"),
    ],
)
def test_a_region_that_is_not_there_is_refused(root, reference, says):
    with pytest.raises(UserError, match=says):
        region(root, reference)


def test_no_file_outside_of_the_repository_is_shown(root):
    with pytest.raises(UserError, match="no source file"):
        region(root / "pkg", "../outside.py#x")
