"""What the sections of a report page are made of; colours come from the page's CSS classes."""

from collections.abc import Mapping, Sequence
from html import escape

from llm_engineering.domain.reports import Failure

MAX_FAILURES = 200
"""Rows of the table of failures."""


def tiles(counts: Mapping[str, int], *, failed: int | None = None) -> str:
    """Numbers by name; `failed` as one more, green when it is 0."""
    drawn = "".join(
        f'<div class="tile"><b>{count:,}</b><span>{name}</span></div>'
        for name, count in counts.items()
    )
    if failed is not None:
        mood = "bad" if failed else "good"
        drawn += f'<div class="tile {mood}"><b>{failed:,}</b><span>failed</span></div>'
    return f'<div class="tiles">{drawn}</div>'


def cards(*cards: tuple[str, str, bool, str]) -> str:
    """(heading, chart, whether there is anything to show, note) each."""
    drawn = "".join(
        f'<div class="card"><h3>{heading}</h3>{chart}<p class="quiet">{note}</p></div>'
        for heading, chart, shown, note in cards
        if shown
    )
    return f'<div class="cards">{drawn}</div>'


def failures(failed: Sequence[Failure]) -> str:
    """A table of the first failures; nothing when there is none."""
    if not failed:
        return ""
    rows = "".join(
        f"<tr><td>{escape(failure.subject)}</td><td>{escape(failure.reason)}</td></tr>"
        for failure in failed[:MAX_FAILURES]
    )
    more = len(failed) - MAX_FAILURES
    note = f'<p class="quiet">and {more:,} more</p>' if more > 0 else ""
    return (
        '<h2>Failures</h2><div class="scroll"><table><thead><tr><th>Address</th><th>Reason</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>{note}"
    )
