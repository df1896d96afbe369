"""Where the numbers of a chapter come from: command, commit, seeds, steps, updates and machine of what they rest on."""

from html import escape

from wellposed.chapters.origins import Origin

HEADING = "## Where the numbers come from"
_INTRODUCTION = (
    "Each row is what some of this chapter's numbers rest on; steps and updates are those of all its runs together. The "
    "records lie beside the text, in `records.json`."
)


def sentence(of: str, origin: Origin) -> str:
    """All of it in a line, to be read when a number is pointed at."""
    parts = [f"{of}: {origin.command}"]
    if origin.commits:
        parts.append(f"commit {', '.join(map(_short, origin.commits))}")
    if origin.seeds:
        parts.append(f"seeds {seeds_text(origin.seeds)}, {origin.steps:,} steps, {origin.updates:,} updates in all")
    return "; ".join([*parts, *origin.machines])


def section(failing: list[str]) -> str:
    """The beginning of a chapter's last section; `failing`: what did not hold when it was published."""
    told = ["**When this was published, not all of it held:**", *(f"- {one}" for one in failing)] if failing else []
    return "\n\n" + "\n\n".join([HEADING, *told, _INTRODUCTION]) + "\n\n"


def table(origins: dict[str, Origin]) -> str:
    """A table with a group of rows for each command, commit and machine."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, origin in origins.items():
        key = (origin.command, ", ".join(map(_short, origin.commits)), "; ".join(origin.machines))
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
        '<div class="wp-table wp-origins" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def seeds_text(seeds: list[int]) -> str:
    """`0-4`, or `0, 2, 5`."""
    whole = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}-{seeds[-1]}" if whole else ", ".join(map(str, seeds))


def _short(commit: str) -> str:
    """A commit by its first seven digits, and whether there were changes."""
    digits, _, rest = commit.partition(" ")
    return f"{digits[:7]} {rest}".strip() if len(digits) == 40 else commit
