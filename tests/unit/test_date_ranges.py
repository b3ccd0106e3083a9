"""Spans of time are read as English means them, in the time zone of now."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.rag.date_ranges import date_ranges

NOW = datetime(2026, 3, 31, 15, 30, tzinfo=UTC)
"""A Tuesday; the month before has no 31st day."""


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "begins", "ends"),
    [
        ("in 2023", "2023-01-01", "2024-01-01"),
        ("during March 2024", "2024-03-01", "2024-04-01"),
        ("in Dec. 2024", "2024-12-01", "2025-01-01"),
        ("from 2023", "2023-01-01", "2024-01-01"),
        ("on 29 February 2024", "2024-02-29", "2024-03-01"),
        ("on May 3rd, 2021", "2021-05-03", "2021-05-04"),
        ("on 2021-05-03", "2021-05-03", "2021-05-04"),
        ("since March 2024", "2024-03-01", None),
        ("from 2022 onwards", "2022-01-01", None),
        ("after 2022", "2023-01-01", None),
        ("before 2020", None, "2020-01-01"),
        ("until 2020", None, "2021-01-01"),
        ("up to June 2020", None, "2020-07-01"),
        ("between 2021 and 2022", "2021-01-01", "2023-01-01"),
        ("from 2021-11 to March 2022", "2021-11-01", "2022-04-01"),
        ("today", "2026-03-31", "2026-04-01"),
        ("yesterday", "2026-03-30", "2026-03-31"),
        ("since yesterday", "2026-03-30", None),
        ("this week", "2026-03-30", "2026-04-06"),
        ("last week", "2026-03-23", "2026-03-30"),
        ("last month", "2026-02-01", "2026-03-01"),
        ("this year", "2026-01-01", "2027-01-01"),
        ("last year", "2025-01-01", "2026-01-01"),
        ("since last year", "2025-01-01", None),
    ],
)
def test_a_date_stands_for_all_of_itself(said: str, begins: str | None, ends: str | None) -> None:
    (found,) = date_ranges(f"What did I write {said} about tea?", now=NOW)
    assert found.published_from == (day(begins) if begins else None)
    assert found.published_before == (day(ends) if ends else None)
    assert f"What did I write {said} about tea?"[found.start : found.end] == said


@pytest.mark.parametrize(
    ("said", "begins"),
    [
        ("in the last 6 months", datetime(2025, 9, 30, 15, 30, tzinfo=UTC)),
        ("in the past month", datetime(2026, 2, 28, 15, 30, tzinfo=UTC)),
        ("over the last two years", datetime(2024, 3, 31, 15, 30, tzinfo=UTC)),
        ("within the past ten days", None),
        ("the last 10 days", NOW - timedelta(days=10)),
        ("the past 3 weeks", NOW - timedelta(weeks=3)),
    ],
)
def test_the_last_few_months_are_counted_back_from_now(said: str, begins: datetime | None) -> None:
    found = [(r.published_from, r.published_before) for r in date_ranges(said, now=NOW)]
    assert found == ([(begins, None)] if begins else [])


@pytest.mark.parametrize(
    "text",
    [
        "what is new in Python 3.12",
        "in 2 lines",
        "in 1925",
        "in 2023.5",
        "on 31 February 2024",
        "between 2022 and 2021",
        "port 2023",
        "in March",
        "the last row",
        "since version 2024-rc",
    ],
)
def test_what_is_no_date_is_left_alone(text: str) -> None:
    assert list(date_ranges(text, now=NOW)) == []


def test_days_begin_in_the_time_zone_of_now() -> None:
    now = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=9)))
    (found,) = date_ranges("yesterday", now=now)
    assert found.published_from is not None
    assert found.published_from.isoformat() == "2025-12-31T00:00:00+09:00"


@given(
    now=st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    count=st.integers(1, 12),
    unit=st.sampled_from(["day", "week", "month", "year"]),
)
def test_counting_back_never_leaves_the_calendar(now: datetime, count: int, unit: str) -> None:
    (found,) = date_ranges(f"in the last {count} {unit}s", now=now)
    assert found.published_from is not None
    assert found.published_from < now
    longest = {"day": 1, "week": 7, "month": 31, "year": 366}[unit] * count
    assert now - found.published_from <= timedelta(days=longest)


@given(st.text(max_size=60))
def test_any_text_is_read_without_error(text: str) -> None:
    for found in date_ranges(f"since {text} 2024 in {text}", now=NOW):
        assert found.start < found.end
