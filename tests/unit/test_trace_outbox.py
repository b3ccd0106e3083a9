"""The line that traces wait in, and what is said of it."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from llm_engineering.domain.traces import Span, Trace, TraceTally
from llm_engineering.infrastructure import trace_outbox
from llm_engineering.infrastructure.trace_outbox import Outbox, RefusedTraces, Send

SOON = (0.001, 0.002)


def trace(request_id: str) -> Trace:
    return Trace(request_id, Span("answer", 0, 1, {}), ())


class Place:
    """Where traces go; fails as often as it is told to."""

    def __init__(self, *, failures: int = 0, error: Exception | None = None) -> None:
        self.batches: list[list[str]] = []
        self.attempts = 0
        self._failures = failures
        self._error = error or ConnectionError("nobody\nthere")

    def load(self) -> Send:
        return self.send

    def send(self, batch: Sequence[Trace]) -> None:
        self.attempts += 1
        if self.attempts <= self._failures:
            raise self._error
        self.batches.append([each.request_id for each in batch])


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_traces_go_out_in_order_and_together() -> None:
    place = Place()
    outbox = Outbox("a place", place.load)
    names = [str(number) for number in range(120)]
    for name in names:
        outbox.put(trace(name))
    outbox.close()

    assert [name for batch in place.batches for name in batch] == names
    assert len(place.batches) == -(-len(names) // trace_outbox.TOGETHER)
    assert outbox.tally() == TraceTally(sent=120)


def test_what_fails_is_tried_again_and_not_sent_twice() -> None:
    place = Place(failures=3)
    outbox = Outbox("a place", place.load, again_s=SOON)
    outbox.put(trace("a"))
    until(lambda: outbox.tally().sent == 1)
    outbox.close()

    assert (place.attempts, place.batches) == (4, [["a"]])


def test_what_is_refused_is_not_tried_again() -> None:
    place = Place(failures=1, error=RefusedTraces("HTTP 400"))
    outbox = Outbox("a place", place.load, again_s=SOON)
    outbox.put(trace("a"))
    until(lambda: outbox.tally().lost == 1)
    outbox.put(trace("b"))
    outbox.close()

    assert (place.attempts, place.batches) == (2, [["b"]])
    assert outbox.tally() == TraceTally(sent=1, lost=1)


def test_a_full_line_drops_what_comes_and_counts_it() -> None:
    hangs = threading.Event()

    def load() -> Send:
        hangs.wait()
        return Place().send

    outbox = Outbox("a place", load, waiting=3)
    for number in range(10):
        outbox.put(trace(str(number)))
    assert outbox.tally() == TraceTally(lost=7)
    hangs.set()
    outbox.close()

    assert outbox.tally() == TraceTally(sent=3, lost=7)


def test_closing_waits_for_nobody_who_hangs(caplog: pytest.LogCaptureFixture) -> None:
    hangs = threading.Event()

    def load() -> Send:
        hangs.wait()
        raise ImportError

    outbox = Outbox("a place", load)
    outbox.put(trace("a"))
    started = time.monotonic()
    outbox.close(within_s=0.05)
    took = time.monotonic() - started
    said = caplog.text
    hangs.set()
    until(lambda: "no traces to a place" in caplog.text)  # not into the next test's log

    assert took < 1
    assert "1 traces did not reach a place" in said


def test_failures_are_told_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(failures=10_000)
    outbox = Outbox("a place", place.load, again_s=SOON)
    outbox.put(trace("a"))
    until(lambda: place.attempts >= 20)
    often = [record.message for record in caplog.records]
    monkeypatch.setattr(trace_outbox, "QUIET_S", 0.0)
    seen = place.attempts
    until(lambda: place.attempts >= seen + 5)
    later = len(caplog.records)
    outbox.close()

    assert often == [
        "a place takes no traces (ConnectionError: nobody there); 0 wait, 0 are lost so far"
    ]
    assert later >= 4


def test_a_package_that_does_not_import_loses_traces_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def load() -> Send:
        raise ImportError("half installed")

    outbox = Outbox("a place", load)
    until(lambda: "no traces to a place: ImportError: half installed" in caplog.text)
    outbox.put(trace("a"))
    until(lambda: outbox.tally() == TraceTally(lost=1))
    outbox.close()
