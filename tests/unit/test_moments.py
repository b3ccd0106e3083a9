"""Dates as people write them, and the extra that reading them from the web needs."""

import importlib
import sys
from datetime import date, datetime, timedelta, timezone

import pytest

from llm_engineering.domain.errors import MissingExtra
from llm_engineering.infrastructure import sources
from llm_engineering.infrastructure.sources.reading.moments import moment


@pytest.mark.parametrize(
    "written",
    [
        date(2024, 3, 5),
        datetime(2024, 3, 5),
        datetime(2024, 3, 5, 2, tzinfo=timezone(timedelta(hours=2))),
        "2024-03-05",
        20240305,
        "2024/03/05",
        "2024-03-05T00:00:00Z",
        "2024-03-04 22:00:00 -0200",
        "Tue, 05 Mar 2024 00:00:00 GMT",
        "March 5, 2024",
        "5 Mar 2024",
    ],
)
def test_every_way_to_write_a_date_is_one_moment_in_utc(written: object) -> None:
    assert str(moment(written)) == "2024-03-05 00:00:00+00:00"


@pytest.mark.parametrize("written", ["someday", "", "2024", "03/05/2024", None, True, 1.5, [2024]])
def test_what_is_no_date_is_none(written: object) -> None:
    assert moment(written) is None


@pytest.mark.parametrize("extreme", [datetime.min, datetime.max])
def test_the_ends_of_time_are_none(extreme: datetime) -> None:
    assert moment(extreme) is None


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "protego", None)
    with pytest.raises(MissingExtra, match=r"'protego' is not installed; pip install 'llm-twin\[c"):
        importlib.reload(sources)
