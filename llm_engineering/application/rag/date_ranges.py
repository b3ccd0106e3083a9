"""Spans of time as questions name them in English: "in 2023", "since March 2024", "last year".

Pure rules over text and a given now. Does not know: whether a date in a question is about when
something was written; that is the reader's to judge (`self_query`).
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

_MONTHS = (
    "january|jan", "february|feb", "march|mar", "april|apr", "may", "june|jun", "july|jul",
    "august|aug", "september|sept|sep", "october|oct", "november|nov", "december|dec",
)  # fmt: skip
_MONTH_NUMBERS = {name: n for n, names in enumerate(_MONTHS, start=1) for name in names.split("|")}

_YEAR = r"(?:19[7-9]\d|20\d\d)"
"""Nothing that is indexed was published before: an older year is what a text is about."""
_MONTH = rf"(?:{'|'.join(_MONTHS)})\.?"
_DAY = r"(?:[0-3]?\d)(?:st|nd|rd|th)?"
_POINT = (
    rf"(?:{_YEAR}-\d\d-\d\d|{_YEAR}-\d\d|{_DAY}\s+{_MONTH},?\s+{_YEAR}"
    rf"|{_MONTH}\s+{_DAY},?\s+{_YEAR}|{_MONTH},?\s+{_YEAR}|{_YEAR})(?![\w-]|\.\d)"
)
_COUNTS = {"": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_COUNT = r"(?:\d{1,3}|one|two|three|four|five|six)"

_RANGE = re.compile(
    rf"""\b(?:
        between\s+(?P<first>{_POINT})\s+and\s+(?P<last>{_POINT})
      | from\s+(?P<start>{_POINT})\s+(?:to|until|till|through)\s+(?P<end>{_POINT})
      | (?P<word>since|after|before|until|till|up\s+to|in|during|throughout|from|on)\s+
        (?:the\s+year\s+)?(?P<point>{_POINT})(?P<onwards>\s+(?:onwards?\b|on(?=\W*$)))?
      | (?:(?:in|over|during|within|from)\s+)?the\s+(?:last|past)\s+
        (?:(?P<count>{_COUNT})\s+)?(?P<unit>day|week|month|year)s?
      | (?:from\s+|(?P<since>since)\s+)?
        (?:(?P<near>today|yesterday)|(?P<which>this|last)\s+(?P<period>week|month|year))
    )(?!\w)""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class DateRange:
    """A span of time and where the question names it."""

    start: int
    """Offset of the first character in the question."""
    end: int
    published_from: datetime | None
    """Inclusive."""
    published_before: datetime | None
    """Exclusive."""


def date_ranges(text: str, *, now: datetime) -> Iterator[DateRange]:
    """Every span that `text` names, in its order, in the time zone of `now`.

    A year, month or day stands for all of itself: "until 2022" ends with 2022, "after 2022"
    begins with 2023. A month without a year, and a date that no calendar has, names nothing.
    """
    for match in _RANGE.finditer(text):
        try:
            begins, ends = _bounds(match, now)
        except (ValueError, OverflowError):
            continue
        if begins is None or ends is None or begins < ends:
            yield DateRange(*match.span(), begins, ends)


Bounds = tuple[datetime | None, datetime | None]


def _bounds(match: re.Match[str], now: datetime) -> Bounds:
    said = match.groupdict()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if said["point"]:
        word = "since" if said["onwards"] else said["word"].lower()
        return _around(word, *_period(said["point"], now))
    if first := said["first"] or said["start"]:
        return _period(first, now)[0], _period(said["last"] or said["end"], now)[1]
    if unit := said["unit"]:
        count = (said["count"] or "").lower()
        number = int(count) if count.isdigit() else _COUNTS[count]
        return _before(now, number, unit.lower()), None
    which, period = (said["which"] or "").lower(), (said["period"] or said["near"]).lower()
    begins, ends = _calendar(which, period, today)
    return begins, None if said["since"] else ends


def _around(word: str, begins: datetime, ends: datetime) -> Bounds:
    match word.split():
        case ["since"]:
            return begins, None
        case ["after"]:
            return ends, None
        case ["before"]:
            return None, begins
        case ["until"] | ["till"] | ["up", "to"]:
            return None, ends
        case _:
            return begins, ends


def _period(point: str, now: datetime) -> tuple[datetime, datetime]:
    """The year, month or day that `point` names; raises ValueError for one that never was."""
    words = re.findall(r"[a-z]+|\d+", re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", point.lower()))
    months = [_MONTH_NUMBERS[word] for word in words if word in _MONTH_NUMBERS]
    numbers = [int(word) for word in words if word.isdigit()]
    year = next(number for number in numbers if number >= 1970)
    numbers.remove(year)
    month, *days = months + numbers if months or numbers else [0]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if days:
        day = midnight.replace(year=year, month=month, day=days[0])
        return day, day + timedelta(days=1)
    if month:
        begins = midnight.replace(year=year, month=month, day=1)
        return begins, _later(begins, 1)
    begins = midnight.replace(year=year, month=1, day=1)
    return begins, _later(begins, 12)


def _calendar(which: str, period: str, today: datetime) -> tuple[datetime, datetime]:
    back = 1 if which == "last" else 0
    match period:
        case "today":
            return today, today + timedelta(days=1)
        case "yesterday":
            return today - timedelta(days=1), today
        case "week":
            begins = today - timedelta(days=today.weekday() + 7 * back)
            return begins, begins + timedelta(days=7)
        case "month":
            begins = _later(today.replace(day=1), -back)
            return begins, _later(begins, 1)
        case _:
            begins = _later(today.replace(month=1, day=1), -12 * back)
            return begins, _later(begins, 12)


def _before(now: datetime, number: int, unit: str) -> datetime:
    match unit:
        case "day":
            return now - timedelta(days=number)
        case "week":
            return now - timedelta(weeks=number)
        case "month":
            return _later(now, -number)
        case _:
            return _later(now, -12 * number)


def _later(at: datetime, months: int) -> datetime:
    """The same day `months` later, or the last one of a shorter month."""
    years, month = divmod(at.month - 1 + months, 12)
    year = at.year + years
    day = min(at.day, monthrange(year, month + 1)[1])
    return at.replace(year=year, month=month + 1, day=day)
