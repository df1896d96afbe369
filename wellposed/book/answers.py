"""What the directives of the prose are answered with: from a chapter's published records, and from nothing else."""

import re
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from wellposed.book import origins
from wellposed.book.drawn import draw
from wellposed.book.pages import Answer, Directive, Page, captioned, code
from wellposed.book.problems import Problems
from wellposed.chapters import facts
from wellposed.chapters.facts import Fact, Table
from wellposed.chapters.load import load_chapter
from wellposed.chapters.origins import Origin, origin_of
from wellposed.chapters.records import load_records, stale
from wellposed.chapters.results import Results
from wellposed.chapters.spec import Chapter
from wellposed.errors import UserError

_ELSEWHERE = re.compile(r"ch(\d\d):\s*(.+)", re.DOTALL)


@dataclass(frozen=True)
class Published:
    """A chapter, and what was published of it."""

    chapter: Chapter
    results: Results
    failing: list[str]  # what did not hold when it was published all the same

    def origin(self, subject: str) -> Origin:
        """Where an experiment's variant, a measurement or a study comes from."""
        return origin_of(self.chapter, self.results, subject)

    @property
    def criteria(self) -> list[str]:
        """What the criteria are about, as far as it is among the results."""
        there = {f"{name}.{variant}" for name, variants in self.results.experiments.items() for variant in variants}
        there |= {*self.results.measurements, *self.results.studies}
        return list(dict.fromkeys(s for c in self.chapter.criteria if (s := self.subject(c.of)) in there))

    def subject(self, text: str) -> str:
        """The `EXPERIMENT.VARIANT`, measurement or study that a path begins with."""
        if runs := self.chapter.runs_of(text):
            return f"{runs[0]}.{runs[1]}"
        return text.partition(".")[0]


@dataclass
class Course:
    """All chapters, and what each page has been told so far."""

    chapters: dict[int, Chapter] = field(default_factory=dict)
    published: dict[int, Published] = field(default_factory=dict)
    numbers: dict[Path, int] = field(default_factory=dict)  # of each chapter's text, resolved
    used: dict[Path, dict[str, Origin]] = field(default_factory=dict)  # by the page's source

    @classmethod
    def load(cls, folder: Path, problems: Problems) -> "Course":
        """Read every chapter that has a text; what cannot be read, is missing or is stale is noted."""
        course = cls()
        for text in sorted(folder.glob("ch*/chapter.md")):
            with problems.noted(str(text.parent / "chapter.toml"), 0):
                chapter = load_chapter(text.parent)
                course.chapters[chapter.number] = chapter
                course.numbers[text.resolve()] = chapter.number
                with problems.noted(str(text.parent / "records.json"), 0):
                    records = load_records(text.parent)
                    course.published[chapter.number] = Published(chapter, records.results, records.failing)
                    for sentence in stale(chapter, records):
                        problems.note(str(text.parent / "records.json"), 0, sentence)
        return course

    def answers(self) -> dict[str, Answer]:
        """The answer to each directive, by its name."""
        return {
            "code": code,
            "fact": self._fact,
            "setting": self._setting,
            "table": self._table,
            "figure": self._figure,
            "minutes": self._minutes,
            "study_minutes": self._minutes,
            "chapters": self._chapters,
        }

    def origins(self, page: Page) -> str:
        """The section on where a page's numbers come from; empty if it has none."""
        used, number = self.used.get(page.source, {}), self.numbers.get(page.source.resolve())
        if not used:
            return ""
        failing = self.published[number].failing if number in self.published else []
        return origins.section(failing) + page.slots.put(origins.table(used), block=True) + "\n"

    def _fact(self, page: Page, directive: Directive, line: int) -> str:
        of, text = self._of(page, " ".join(directive.words))
        if of is None:
            return _absent(page, text)
        return self._told(page, of, of.subject(text), facts.fact(of.chapter, of.results, text))

    def _setting(self, page: Page, directive: Directive, line: int) -> str:
        directive.refuse_options_but()
        *subject, name = directive.words or [""]
        of, text = self._of(page, " ".join(subject))
        if not subject:
            raise UserError("A setting is written as: setting: EXPERIMENT.VARIANT NAME.")
        if of is None:
            return _absent(page, f"{text} {name}")
        return self._told(page, of, of.subject(text), facts.setting(of.chapter, of.results, text, name))

    def _minutes(self, page: Page, directive: Directive, line: int) -> str:
        directive.refuse_options_but()
        number = " ".join(directive.words)
        chapter = self.chapters.get(int(number)) if number.isdecimal() else None
        if chapter is None:
            raise UserError(f"There is no chapter {number!r} whose time could be told.")
        told = facts.minutes(chapter, studies=directive.name == "study_minutes")
        return page.slots.put(_span(told.text, told.origin.command))

    def _table(self, page: Page, directive: Directive, line: int) -> str:
        directive.refuse_options_but("caption")
        of, name = self._of(page, " ".join(directive.words))
        if of is None:
            return _absent(page, name)
        if name == "criteria":
            table, subjects = facts.criteria_table(of.chapter, of.results), of.criteria
        elif name in of.chapter.experiments:
            table, subjects = facts.experiment_table(of.chapter, of.results, name), [name]
        else:
            table, subjects = facts.list_table(of.chapter, of.results, name), [of.subject(name)]
        for subject in subjects:
            self._note(page, of, subject)
        return captioned(page, directive, line, table_html(table), needed=False)

    def _figure(self, page: Page, directive: Directive, line: int) -> str:
        of, _ = self._of(page, "")
        if of is None:
            return _absent(page, " ".join(directive.words))
        drawn = draw(of.results, directive)
        for subject in drawn.sources:
            self._note(page, of, subject)
        return captioned(page, directive, line, drawn.html, needed=True)

    def _chapters(self, page: Page, directive: Directive, line: int) -> str:
        rows = []
        for number, chapter in sorted(self.chapters.items()):
            time = facts.minutes(chapter).text
            link = f'<a href="{chapter.slug}.html">{escape(chapter.title)}</a>'
            rows.append(
                f'<li value="{number}">{link}<span class="wp-minutes">{escape(time)}</span>'
                f"<p>{escape(chapter.summary)}</p></li>"
            )
        return page.slots.put(f'<ol class="wp-chapters" start="0">{"".join(rows)}</ol>', block=True)

    def _of(self, page: Page, text: str) -> tuple[Published | None, str]:
        """The chapter that a reference is to, with the reference within it; None where nothing was published of it."""
        elsewhere = _ELSEWHERE.fullmatch(text)
        if elsewhere is not None:
            number, text = int(elsewhere[1]), elsewhere[2]
            if number not in self.chapters:
                raise UserError(f"There is no chapter {number} in this book.")
        elif page.source.resolve() in self.numbers:
            number = self.numbers[page.source.resolve()]
        else:
            number = -1
            if page.source.name != "chapter.md":
                raise UserError(f"A page that is no chapter names one: ch03:{text}.")
        return self.published.get(number), text

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
    """A table of facts; columns of numbers are set flush right."""
    kinds = ["wp-number" if numeric else "" for numeric in table.numeric]
    head = "".join(f'<th class="{kind}">{escape(name)}</th>' for name, kind in zip(table.head, kinds, strict=True))
    rows = [
        "".join(f'<td class="{kind}">{escape(cell)}</td>' for cell, kind in zip(row, kinds, strict=True))
        for row in table.rows
    ]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wp-table" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _span(text: str, origin: str) -> str:
    return f'<span class="wp-fact" title="{escape(origin)}">{escape(text)}</span>'


def _absent(page: Page, text: str) -> str:
    """The box for something of a chapter whose records are missing as a whole, which is noted once."""
    return page.slots.put(f'<span class="wp-problem">{escape(text)}</span>')
