"""Chapters as notebooks: everything of the text is in them, they can be read as such, and their cells run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from course.book import notebook
from course.chapters.load import chapter_folders, find_chapters, is_in_work
from course.exercises import EXERCISES
from wellposed.cli import main
from wellposed.errors import UserError

nbformat = pytest.importorskip("nbformat")
PUBLISHED = [number for number, folder in chapter_folders(find_chapters()).items() if not is_in_work(folder)]

TEXT = """# Title

Some prose,
with {{ fact }} in it.

{{ figure: learning dense x=steps
   caption="Two lines" }}

## Next

    wellposed chapter run 3
    wellposed chapter verify 3

~~~
    wellposed is not run here
{{ table: dense }}
~~~

- an item

    with a paragraph
"""


def test_what_becomes_cells_is_taken_out_and_everything_else_keeps_its_line():
    prose, parts = notebook.without_cells(TEXT)
    lines = prose.splitlines()
    assert len(lines) == len(TEXT.splitlines())
    assert parts == [
        '{{ figure: learning dense x=steps\n   caption="Two lines" }}',
        "    wellposed chapter run 3\n    wellposed chapter verify 3",
    ]
    kept = [line for line in TEXT.splitlines() if line in lines]
    assert [line for line in lines if line and not line.startswith("wpcell")] == [line for line in kept if line]


def test_commands_that_take_minutes_are_left_to_a_person_and_an_exercise_is_a_cell_to_fill():
    cells = [
        *notebook.commands(
            "    wellposed chapter run 3\n    wellposed exercise start 3.1\n"
            "    wellposed exercise check 3.1\n    wellposed exercise run 3.1"
        )
    ]
    long = {"tags": ["skip-execution"]}
    assert [cell["metadata"] for cell in cells] == [long, {}, {}, long]
    assert cells[1]["source"] == f"%%writefile ex3_1.py\n{EXERCISES['3.1'].stub}".rstrip()
    assert cells[2]["source"] == "!wellposed exercise check 3.1"


@pytest.mark.slow
@pytest.mark.parametrize("number", PUBLISHED)
def test_a_chapter_is_a_valid_notebook_with_all_of_its_formulas_and_cells(number):
    made = notebook.notebook(number)
    nbformat.validate(nbformat.from_dict(made))
    text = "\n".join(cell["source"] for cell in made["cells"])
    assert "wpslot" not in text
    assert "wpcell" not in text
    source = (chapter_folders(find_chapters())[number] / "chapter.md").read_text()
    assert text.count("\n!wellposed exercise check") == source.count("\n    wellposed exercise check")
    assert text.count("chapter.show(") == len([one for one in source.splitlines() if notebook._BLOCK.match(one)])
    titles = [line for line in source.splitlines() if line.startswith("## ")]
    assert [line for line in text.splitlines() if line.startswith("## ")] == titles


@pytest.mark.slow
@pytest.mark.parametrize("number", PUBLISHED)
def test_its_cells_run(number, tmp_path):
    file = tmp_path / "chapter.ipynb"
    assert main(["chapter", "notebook", str(number), "--file", str(file)]) == 0
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", str(file)]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    cells = json.loads(file.read_text())["cells"]
    ran = [cell for cell in cells if cell["cell_type"] == "code" and not cell["metadata"].get("tags")]
    shown = [cell for cell in ran if "".join(cell["source"]).startswith("chapter.show(")]
    assert all(cell["execution_count"] for cell in ran)
    assert all(any("text/html" in one.get("data", {}) for one in cell["outputs"]) for cell in shown)


def test_what_is_not_there_is_a_sentence_and_nothing_is_overwritten(tmp_path, capsys):
    chapter = notebook.Chapter(3)
    for _ in range(2):  # a person runs the same cell again
        with pytest.raises(UserError, match=r"^There is no experiment 'nothing'"):
            chapter.show('figure: learning nothing x=steps caption="A"')
    (tmp_path / "mine.ipynb").write_text("mine")
    assert main(["chapter", "notebook", "0", "--file", str(tmp_path / "mine.ipynb")]) == 1
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "mine.ipynb").read_text() == "mine"
    draft = next((number for number in chapter_folders(find_chapters()) if number not in PUBLISHED), None)
    if draft is not None:
        with pytest.raises(UserError, match="is not published yet"):
            notebook.Chapter(draft)


def test_a_listing_is_the_source_and_a_video_comes_along():
    chapter = notebook.Chapter(6)
    assert "wellposed/analysis/closed_loop.py" in chapter.show("code: wellposed/analysis/closed_loop.py#dragged").html
    directive = next(
        line.strip()[2:-2]
        for line in Path(chapter.page.source).read_text().splitlines()
        if line.startswith("{{ video:")
    )
    assert 'src="data:video/mp4;base64,' in chapter.show(directive).html
