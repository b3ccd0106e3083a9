"""What commands print: results to stdout, notes to stderr.

Titles, quotes and error messages carry text that strangers wrote. It reaches a terminal with its
control characters escaped, and rich never reads it as markup.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from rich.console import Console

_UNSAFE = re.compile(
    # C0 without tab and newline, DEL and C1, line separators, bidirectional overrides, surrogates
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


class Column(NamedTuple):
    """One column of a table on a terminal."""

    name: str
    wide: bool = False
    """Wraps its text; the others stay on one line."""


def block(text: str) -> str:
    """`text` with its lines and tabs, every other control character written as its escape."""
    return _UNSAFE.sub(_escape, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """`text` on one line, white space folded, control characters written as their escapes."""
    return _UNSAFE.sub(_escape, " ".join(text.split()))


def is_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


def note(text: str) -> None:
    """One line on stderr, for the person at the terminal."""
    click.echo(one_line(text), err=True)


def write_json(value: object) -> None:
    """One JSON document: models and dataclasses as objects, datetimes in ISO 8601."""
    from pydantic_core import to_jsonable_python

    text = json.dumps(to_jsonable_python(value), ensure_ascii=False, indent=2)
    click.echo(_UNSAFE.sub(lambda unsafe: f"\\u{ord(unsafe[0]):04x}", text))


def write_rows(rows: Iterable[Sequence[str]]) -> None:
    """One line per row, cells between tabs, no header: what cut and sort expect."""
    for row in rows:
        click.echo("\t".join(map(one_line, row)))


def write_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    styles: Mapping[str, str] | None = None,
) -> None:
    """A table on a terminal, else `write_rows`.

    `styles` colours the cells that hold exactly one of its keys.
    """
    if not is_terminal():
        write_rows(rows)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column.name, no_wrap=not column.wide, overflow="fold" if column.wide else "ellipsis"
        )
    for row in rows:
        cells = map(one_line, row)
        table.add_row(*(Text(cell, style=(styles or {}).get(cell, "")) for cell in cells))
    _console().print(table)


def write_text(text: str, *, style: str = "", indent: int = 0) -> None:
    """A paragraph: wrapped and in `style` on a terminal, its own lines everywhere else."""
    safe = block(text)
    if not is_terminal():
        click.echo("\n".join(" " * indent + line if line else "" for line in safe.split("\n")))
        return
    from rich.padding import Padding
    from rich.text import Text

    _console().print(Padding(Text(safe, style=style), (0, 0, 0, indent)))


def write_verbatim(text: str) -> None:
    """A whole document: to the character in a file or pipe, made harmless on a terminal."""
    shown = block(text) if is_terminal() else text
    # Not click.echo: it takes escape sequences out of what goes into a file.
    sys.stdout.write(shown if shown.endswith("\n") else f"{shown}\n")


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def _escape(unsafe: re.Match[str]) -> str:
    code = ord(unsafe[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
