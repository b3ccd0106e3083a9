"""A CSV file that says when files were published."""

import csv
from datetime import datetime
from pathlib import Path, PurePosixPath

from llm_engineering.domain.errors import SourceFailed
from llm_engineering.infrastructure.sources.reading.moments import moment


def read_dates(path: Path) -> dict[str, datetime]:
    """Path -> date of every line; the first line holds headings.

    Raises SourceFailed for a file that cannot be read, and for the first line that is wrong.
    """
    dates: dict[str, datetime] = {}
    for line, row in _rows(path):
        at = moment(row[1]) if len(row) > 1 else None
        if line == 1 and at is None:
            continue
        if line == 1:
            raise SourceFailed(f"dates: {path}: the first line must hold headings, like path,date")
        if at is None:
            raise SourceFailed(
                f"dates: {path}, line {line}: expected a path and a date like notes/a.md,2024-01-31"
            )
        name = PurePosixPath(row[0].strip()).as_posix()
        if dates.setdefault(name, at) != at:
            raise SourceFailed(f"dates: {path}, line {line}: {name} has two dates")
    return dates


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """(number of its line, cells) of every line that is not empty."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            return [(reader.line_num, row) for row in reader if row]
    except OSError as error:
        raise SourceFailed(f"dates: cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceFailed(f"dates: {path} is no CSV file in UTF-8: {error}") from None
