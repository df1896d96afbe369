"""What the directives of the prose are answered with: from a chapter's published records, and from nothing else."""

import re
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from wellposed.book import origins
from wellposed.book.drawn import check, draw
from wellposed.book.pages import Answer, Directive, Page, caption_of, captioned, code
from wellposed.book.problems import Problems
from wellposed.chapters import facts
from wellposed.chapters.facts import Fact, Table
from wellposed.chapters.load import FOLDER, load_chapter
from wellposed.chapters.origins import Origin, origin_of
from wellposed.chapters.records import load_records, stale
from wellposed.chapters.results import Results
from wellposed.chapters.spec import Chapter
from wellposed.chapters.values import AbsentError
from wellposed.errors import UserError

_ELSEWHERE = re.compile(r"ch(\d\d):\s*(.*)", re.DOTALL)


class NothingError(Exception):
    """All of a chapter's data or of its records is missing, which was noted once."""


@dataclass(frozen=True)
class Published:
    """A chapter, and what was published of it."""

    chapter: Chapter
    results: Results
    failing: list[str]  # what did not hold when it was published all the same
    there: bool = True  # else it was not published, and its results are empty

    def origin(self, subject: str) -> Origin:
        """Where an experiment's variant, a measurement or a study comes from."""
        return origin_of(self.chapter, self.results, subject)

    @property
    def criteria(self) -> list[str]:
        """What the criteria are about, as far as it is among the results."""
        there = {f"{name}.{variant}" for name, variants in self.results.experiments.items() for variant in variants}
        there |= {*self.results.measurements, *self.results.studies}
        return list(dict.fromkeys(s for c in self.chapter.criteria if (s := self.subject(c.of)) in there))

    def require_whole(self, experiment: str) -> None:
        """Refuse to show a part of an experiment as if it were the whole.

        Raises:
            UserError: naming the variants of which nothing was published.
        """
        there = self.results.experiments.get(experiment, {})
        missing = [name for name in self.chapter.experiments[experiment].runs if name not in there]
        if self.there and missing:
            raise UserError(f"Nothing was published of {experiment}: {'; '.join(missing)}.")

    def subject(self, text: str) -> str:
        """The `EXPERIMENT.VARIANT`, measurement or study that a path begins with."""
        if runs := self.chapter.runs_of(text):
            return f"{runs[0]}.{runs[1]}"
        return text.partition(".")[0]


@dataclass
class Course:
    """All chapters, and what each page has been told so far."""

    chapters: dict[int, Published] = field(default_factory=dict)
    numbers: dict[Path, int] = field(default_factory=dict)  # of each chapter's text, resolved
    used: dict[Path, dict[str, Origin]] = field(default_factory=dict)  # by the page's source

    @classmethod
    def load(cls, folder: Path, problems: Problems) -> "Course":
        """Read every chapter that has a text; what cannot be read, is missing or is stale is noted."""
        course = cls()
        for text in sorted(folder.glob("ch*/chapter.md")):
            named = FOLDER.fullmatch(text.parent.name)
            if named is None:
                problems.note(str(text), 0, "Its folder is no chapter's; they are called as ch04_hindsight.")
                continue
            course.numbers[text.resolve()] = int(named[1])
            with problems.noted(str(text.parent / "chapter.toml"), 0):
                chapter = load_chapter(text.parent)
                course.chapters[chapter.number] = Published(chapter, Results({}, {}, {}), [], there=False)
                with problems.noted(str(text.parent / "records.json"), 0):
                    records = load_records(text.parent)
                    course.chapters[chapter.number] = Published(chapter, records.results, records.failing)
                    for sentence in stale(chapter, records):
                        problems.note(str(text.parent / "records.json"), 0, sentence)
        return course

    def answers(self) -> dict[str, Answer]:
        """The answer to each directive, by its name."""
        of_records = {"fact": self._fact, "setting": self._setting, "table": self._table, "figure": self._figure}
        of_records |= {"minutes": self._minutes, "study_minutes": self._minutes}
        boxed = {name: self._boxed(answer) for name, answer in of_records.items()}
        return {"code": code, **boxed, "chapters": self._chapters}

    def _boxed(self, answer: Answer) -> Answer:
        """An answer that is a box where all that it could come from is missing."""

        def answered(page: Page, directive: Directive) -> str:
            text = " ".join(directive.words)
            try:
                return answer(page, directive)
            except NothingError:
                pass
            except AbsentError:
                if self._of(page, text)[0].there:
                    raise
            return page.slots.put(f'<span class="wp-problem">{escape(text)}</span>')

        return answered

    def origins(self, page: Page) -> str:
        """The section on where a page's numbers come from; empty if it has none."""
        used, number = self.used.get(page.source, {}), self.numbers.get(page.source.resolve())
        if not used:
            return ""
        failing = self.chapters[number].failing if number in self.chapters else []
        return origins.section(failing) + page.slots.put(origins.table(used), block=True) + "\n"

    def _fact(self, page: Page, directive: Directive) -> str:
        of, text = self._of(page, " ".join(directive.words))
        return self._told(page, of, of.subject(text), facts.fact(of.chapter, of.results, text))

    def _setting(self, page: Page, directive: Directive) -> str:
        directive.refuse_options_but()
        *subject, name = directive.words or [""]
        of, text = self._of(page, " ".join(subject))
        if not subject:
            raise UserError("A setting is written as: setting: EXPERIMENT.VARIANT NAME.")
        return self._told(page, of, of.subject(text), facts.setting(of.chapter, of.results, text, name))

    def _minutes(self, page: Page, directive: Directive) -> str:
        directive.refuse_options_but()
        number = " ".join(directive.words)
        if not number.isdecimal():
            raise UserError(f"{directive.name} is followed by the number of a chapter, not by {number!r}.")
        of, _ = self._of(page, f"ch{number:0>2}:")
        told = facts.minutes(of.chapter, studies=directive.name == "study_minutes")
        return page.slots.put(_span(told.text, told.origin.command))

    def _table(self, page: Page, directive: Directive) -> str:
        directive.refuse_options_but("caption", "columns")
        of, name = self._of(page, " ".join(directive.words))
        columns = directive.options.get("columns", "").split()
        if name == "criteria":
            if columns:
                raise UserError("The table of the criteria has columns of its own.")
            table, subjects = facts.criteria_table(of.chapter, of.results), of.criteria
        elif name in of.chapter.experiments:
            of.require_whole(name)
            table, subjects = facts.experiment_table(of.chapter, of.results, name, columns), [name]
        else:
            table, subjects = facts.list_table(of.chapter, of.results, name, columns), [of.subject(name)]
        for subject in subjects:
            self._note(page, of, subject)
        return captioned(page, directive, table_html(table))

    def _figure(self, page: Page, directive: Directive) -> str:
        of, _ = self._of(page, "")
        caption_of(directive)
        check(directive)
        if not of.there:
            raise NothingError
        if (named := directive.words[1]) in of.chapter.experiments:
            of.require_whole(named)
        drawn = draw(of.results, directive)
        for subject in drawn.sources:
            self._note(page, of, subject)
        return captioned(page, directive, drawn.html)

    def _chapters(self, page: Page, directive: Directive) -> str:
        rows = []
        for number, chapter in sorted((number, of.chapter) for number, of in self.chapters.items()):
            time = facts.minutes(chapter).text
            link = f'<a href="{chapter.slug}.html">{escape(chapter.title)}</a>'
            rows.append(
                f'<li value="{number}">{link}<span class="wp-minutes">{escape(time)}</span>'
                f"<p>{escape(chapter.summary)}</p></li>"
            )
        return page.slots.put(f'<ol class="wp-chapters" start="0">{"".join(rows)}</ol>', block=True)

    def _of(self, page: Page, text: str) -> tuple[Published, str]:
        """The chapter that a reference is to, with the reference within it.

        Raises:
            UserError: if there is no such chapter.
            NothingError: if what there is of it cannot be read.
        """
        elsewhere = _ELSEWHERE.fullmatch(text)
        if elsewhere is not None:
            number, text = int(elsewhere[1]), elsewhere[2]
            if number not in self.numbers.values():
                raise UserError(f"There is no chapter {number} in this book.")
        elif page.source.resolve() in self.numbers:
            number = self.numbers[page.source.resolve()]
        else:
            raise UserError(f"A page that is no chapter names one: ch03:{text}.")
        if number not in self.chapters:
            raise NothingError
        return self.chapters[number], text

    def _told(self, page: Page, of: Published, subject: str, fact: Fact) -> str:
        """A fact in a line of text, with its origin where it is pointed at."""
        name = self._note(page, of, subject)
        return page.slots.put(_span(fact.text, origins.sentence(name, fact.origin)))

    def _note(self, page: Page, of: Published, subject: str) -> str:
        """Keep what a page's numbers come from; returns its name on that page."""
        own = self.numbers.get(page.source.resolve()) == of.chapter.number
        prefix = "" if own else f"ch{of.chapter.number:02}:"
        variants = of.chapter.experiments[subject].runs if subject in of.chapter.experiments else [""]
        for variant in variants:
            full = f"{subject}.{variant}" if variant else subject
            self.used.setdefault(page.source, {})[prefix + full] = of.origin(full)
        return prefix + subject


def table_html(table: Table) -> str:
    """A table of facts; columns of plain numbers are set flush right, what stands in brackets below its number."""
    plain = [numeric and not any("(" in row[i] for row in table.rows) for i, numeric in enumerate(table.numeric)]
    kinds = [' class="wp-number"' if one else "" for one in plain]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(table.head, kinds, strict=True))
    rows = (
        "".join(f"<td{kind}>{_cell(text)}</td>" for text, kind in zip(row, kinds, strict=True)) for row in table.rows
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        '<div class="wp-table" tabindex="0"><table class="wp-data">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    bracket = re.fullmatch(r"(\S.*?) \((.*)\)", text)
    return f"{_words(bracket[1])}<small>{_words(bracket[2])}</small>" if bracket else _words(text)


def _words(text: str) -> str:
    """Text as HTML, in which no line ends between a number and its percent sign."""
    return escape(text).replace(" %", "&nbsp;%")


def _span(text: str, origin: str) -> str:
    return f'<span class="wp-fact" title="{escape(origin)}">{_words(text)}</span>'
