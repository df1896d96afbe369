"""The answers to the directives of the prose, taken from the published records of the chapters."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from os.path import relpath
from pathlib import Path

from course.book.arm import arm
from course.book.drawings import drawing
from course.book.live_figures import live
from course.book.pages import FILES, Answer, Directive, Page, caption_of, captioned, code
from course.book.plots import check, draw
from course.book.problems import Problems
from course.chapters import facts
from course.chapters.facts import Fact, Table
from course.chapters.load import FOLDER, load_chapter
from course.chapters.origins import Origin, origin_of
from course.chapters.records import load_records, stale
from course.chapters.results import Results
from course.chapters.spec import Chapter
from course.chapters.values import AbsentError
from wellposed.errors import UserError, instead
from wellposed.repository import INSTALLED, ROOT

HEADING = "## Where the numbers come from"
_INTRODUCTION = (
    "Each row is what some of this chapter's numbers rest on; steps and updates are those of all its runs together. "
    "The records lie beside the text, in `records.json`."
)
_ELSEWHERE = re.compile(r"ch(\d\d):\s*(.*)", re.DOTALL)


class UnavailableError(Exception):
    """The data or the records of a chapter are missing; the problem is noted already."""


@dataclass(frozen=True)
class Published:
    """A chapter and its published results."""

    chapter: Chapter
    results: Results
    failing: list[str]  # what failed when the chapter was published anyway
    there: bool = True  # False if it is not published; its results are empty then

    def origin(self, subject: str) -> Origin:
        """The origin of a variant, a measurement or a study."""
        return origin_of(self.chapter, self.results, subject)

    @property
    def criteria(self) -> list[str]:
        """The subjects of the criteria that are among the results."""
        there = {f"{name}.{variant}" for name, variants in self.results.experiments.items() for variant in variants}
        there |= {*self.results.measurements, *self.results.studies}
        return list(dict.fromkeys(s for c in self.chapter.criteria if (s := self.subject(c.of)) in there))

    def require_whole(self, experiment: str) -> None:
        """Check that all variants of an experiment are published.

        Raises:
            UserError: naming the variants that are not.
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
    """All chapters, and the origins that each page has used so far."""

    chapters: dict[int, Published] = field(default_factory=dict)
    numbers: dict[Path, int] = field(default_factory=dict)  # chapter.md, resolved -> number of the chapter
    used: dict[Path, dict[str, Origin]] = field(default_factory=dict)  # source of the page -> subject -> origin

    @classmethod
    def load(cls, texts: Iterable[Path], problems: Problems) -> "Course":
        """Read the chapters of the given texts; files that are damaged, missing or stale are noted as problems."""
        course = cls()
        for text in texts:
            named = FOLDER.fullmatch(text.parent.name)
            if named is None:
                problems.note(str(text), 0, "Its folder must be named like ch04_hindsight.")
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
        """The function that answers each directive, by name."""
        of_records = {"fact": self._fact, "setting": self._setting, "table": self._table, "figure": self._figure}
        of_records |= {"video": self._video, "minutes": self._minutes, "study_minutes": self._minutes}
        boxed = {name: self._boxed(answer) for name, answer in of_records.items()}
        return {"code": code, "drawing": drawing, "live": live, "arm": arm, **boxed, "chapters": self._chapters}

    def _boxed(self, answer: Answer) -> Answer:
        """An answer that becomes a red box if the chapter's data is missing."""

        def answered(page: Page, directive: Directive) -> str:
            text = " ".join(directive.words)
            try:
                return answer(page, directive)
            except UnavailableError:
                pass
            except AbsentError:
                if self._of(page, text)[0].there:
                    raise
            return page.slots.put(f'<span class="wp-problem">{escape(text)}</span>')

        return answered

    def origins(self, page: Page) -> str:
        """The section on the origin of a page's numbers; empty if it has none."""
        used, number = self.used.get(page.source, {}), self.numbers.get(page.source.resolve())
        if not used:
            return ""
        failing = self.chapters[number].failing if number in self.chapters else []
        return origins_section(failing) + page.slots.put(origins_table(used), block=True) + "\n"

    def _fact(self, page: Page, directive: Directive) -> str:
        of, text = self._of(page, " ".join(directive.words))
        return self._with_origin(page, of, of.subject(text), facts.fact(of.chapter, of.results, text))

    def _setting(self, page: Page, directive: Directive) -> str:
        directive.refuse_options_but()
        *subject, name = directive.words or [""]
        of, text = self._of(page, " ".join(subject))
        if not subject:
            raise UserError("Write a setting as: setting: EXPERIMENT.VARIANT NAME.")
        return self._with_origin(page, of, of.subject(text), facts.setting(of.chapter, of.results, text, name))

    def _minutes(self, page: Page, directive: Directive) -> str:
        directive.refuse_options_but()
        number = " ".join(directive.words)
        if not number.isdecimal():
            raise UserError(f"{directive.name} takes the number of a chapter, not {number!r}.")
        of, _ = self._of(page, f"ch{number:0>2}:")
        fact = facts.minutes(of.chapter, studies=directive.name == "study_minutes")
        return page.slots.put(_span(fact.text, fact.origin.command))

    def _table(self, page: Page, directive: Directive) -> str:
        directive.refuse_options_but("caption", "columns")
        of, name = self._of(page, " ".join(directive.words))
        columns = directive.options.get("columns", "").split()
        if name == "criteria":
            if columns:
                raise UserError("The table of the criteria has fixed columns.")
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
            raise UnavailableError
        if (named := directive.words[1]) in of.chapter.experiments:
            of.require_whole(named)
        drawn = draw(of.results, directive)
        for subject in drawn.sources:
            self._note(page, of, subject)
        return captioned(page, directive, drawn.html)

    def _video(self, page: Page, directive: Directive) -> str:
        directive.refuse_options_but("caption")
        of, name = self._of(page, " ".join(directive.words))
        if name not in of.chapter.videos:
            raise UserError(f"There is no video {name!r} in this chapter{instead(name, of.chapter.videos)}")
        caption = caption_of(directive)
        file = of.chapter.video(name)
        if not of.there:
            raise UnavailableError
        made_by = f"wellposed chapter films {of.chapter.number}"
        if not file.is_file() and not (INSTALLED and file.is_relative_to(ROOT)):
            raise UserError(f"{file} does not exist; `{made_by}` makes it.")
        if "." in of.chapter.videos[name]:
            self._note(page, of, of.subject(of.chapter.videos[name]))
        if not file.is_file():
            said = f"The film is in the repository; <code>{made_by}</code> makes it from the chapter's runs."
            return captioned(page, directive, f"<p>{said}</p>")
        target = page.links.files.setdefault(file.resolve(), f"{FILES}/{of.chapter.slug}/{file.name}")
        address = relpath(target, Path(page.target).parent)
        html = f'<video src="{escape(address)}" title="{escape(caption)}" controls muted loop playsinline></video>'
        return captioned(page, directive, html)

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
        """The chapter that a reference points to, and the reference within it.

        Raises:
            UserError: if there is no such chapter.
            UnavailableError: if the chapter could not be read.
        """
        elsewhere = _ELSEWHERE.fullmatch(text)
        if elsewhere is not None:
            number, text = int(elsewhere[1]), elsewhere[2]
            if number not in self.numbers.values():
                raise UserError(f"There is no chapter {number} in this book.")
        elif page.source.resolve() in self.numbers:
            number = self.numbers[page.source.resolve()]
        else:
            raise UserError(f"Outside of a chapter, name the chapter: ch03:{text}.")
        if number not in self.chapters:
            raise UnavailableError
        return self.chapters[number], text

    def _with_origin(self, page: Page, of: Published, subject: str, fact: Fact) -> str:
        """A fact within a line of text, with its origin as tooltip."""
        name = self._note(page, of, subject)
        return page.slots.put(_span(fact.text, origin_sentence(name, fact.origin)))

    def _note(self, page: Page, of: Published, subject: str) -> str:
        """Keep the origin of a subject for its page; returns the name of the subject on that page."""
        own = self.numbers.get(page.source.resolve()) == of.chapter.number
        prefix = "" if own else f"ch{of.chapter.number:02}:"
        variants = of.chapter.experiments[subject].runs if subject in of.chapter.experiments else [""]
        for variant in variants:
            full = f"{subject}.{variant}" if variant else subject
            self.used.setdefault(page.source, {})[prefix + full] = of.origin(full)
        return prefix + subject


def table_html(table: Table) -> str:
    """A table of facts; columns of plain numbers are right-aligned, text in brackets goes below its number."""
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
    return "".join(map(_with_bracket_below, re.split(r"(?<=\)), ", text)))  # one below the other


def _with_bracket_below(text: str) -> str:
    bracket = re.fullmatch(r"(\S.*?) \((.*)\)", text)
    return f"{_html(bracket[1])}<small>{_html(bracket[2])}</small>" if bracket else _html(text)


def _html(text: str) -> str:
    """Text as HTML, without line breaks between a number and its percent sign."""
    return escape(text).replace(" %", "&nbsp;%")


def _span(text: str, origin: str) -> str:
    return f'<span class="wp-fact" title="{escape(origin)}">{_html(text)}</span>'


def origin_sentence(of: str, origin: Origin) -> str:
    """An origin in one line, for the tooltip of a number."""
    parts = [f"{of}: {origin.command}"]
    if origin.commits:
        parts.append(f"commit {', '.join(map(_short_commit, origin.commits))}")
    if origin.seeds:
        parts.append(f"seeds {seeds_text(origin.seeds)}, {origin.steps:,} steps, {origin.updates:,} updates in all")
    return "; ".join([*parts, *origin.machines])


def origins_section(failing: list[str]) -> str:
    """The beginning of a chapter's last section; `failing`: what failed when it was published anyway."""
    warning = ["**When this was published, not all of it held:**", *(f"- {one}" for one in failing)] if failing else []
    return "\n\n" + "\n\n".join([HEADING, *warning, _INTRODUCTION]) + "\n\n"


def origins_table(origins: dict[str, Origin]) -> str:
    """The origins as a table, grouped by command, commit and machine."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, origin in origins.items():
        key = (origin.command, ", ".join(map(_short_commit, origin.commits)), "; ".join(origin.machines))
        groups.setdefault(key, []).append(name)
    rows = []
    for (command, commit, machine), names in groups.items():
        head = f"<code>{escape(command)}</code>, commit {escape(commit)}, {escape(machine)}"
        rows.append(f'<tr><th colspan="4" scope="rowgroup">{head}</th></tr>')
        for name in names:
            one = origins[name]
            shown = (seeds_text(one.seeds), f"{one.steps:,}", f"{one.updates:,}") if one.runs else ("", "", "")
            cells = "".join(f'<td class="wp-number">{cell}</td>' for cell in shown)
            rows.append(f"<tr><td>{escape(name)}</td>{cells}</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("from", "seeds", "environment steps", "gradient updates"))
    return (
        '<div class="wp-table wp-origins" tabindex="0"><table class="wp-data">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def seeds_text(seeds: list[int]) -> str:
    """`0-4`, or `0, 2, 5`."""
    whole = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}-{seeds[-1]}" if whole else ", ".join(map(str, seeds))


def _short_commit(commit: str) -> str:
    """The first seven digits of a commit, and whether there were uncommitted changes."""
    digits, _, rest = commit.partition(" ")
    return f"{digits[:7]} {rest}".strip() if len(digits) == 40 else commit
