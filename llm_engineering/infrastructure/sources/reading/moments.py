"""Moments as people and machines write them, always with a time zone."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from email.utils import parsedate_to_datetime
from functools import partial

_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
_LATEST = datetime(9999, 12, 30, tzinfo=UTC)
"""Further out, another time zone may not be expressible."""


_FORMATS = ("%Y/%m/%d", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y")


def moment(value: object) -> datetime | None:
    """A date, a datetime or a written date as a moment in UTC; UTC where no zone is given.

    None for anything else: a wrong date is worse than none.
    """
    match value:
        case datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return aware.astimezone(UTC) if _EARLIEST < aware < _LATEST else None
        case date():
            return datetime.combine(value, time(), tzinfo=UTC)
        case int() | str():
            return _written(" ".join(str(value).split()))
        case _:
            return None


def _written(text: str) -> datetime | None:
    readings: list[Callable[[str], datetime]] = [
        lambda text: datetime.fromisoformat(re.sub(r" (?=[+-]\d)", "", text)),
        parsedate_to_datetime,
        *(partial(_in_format, form) for form in _FORMATS),
    ]
    for reading in readings:
        try:
            return moment(reading(text))
        except ValueError:
            continue
    return None


def _in_format(form: str, text: str) -> datetime:
    return datetime.strptime(text, form).replace(tzinfo=UTC)
