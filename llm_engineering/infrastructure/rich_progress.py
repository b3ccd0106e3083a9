"""Progress on stderr: bars where a person watches, nothing elsewhere."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from llm_engineering.ports.progress import Advance


class Silent:
    """Shows nothing."""

    @contextmanager
    def stage(
        self,
        name: str,  # noqa: ARG002 (the port's names)
        *,
        total: int | None = None,  # noqa: ARG002
    ) -> Iterator[Advance]:
        yield _ignore


class RichProgress:
    """One bar per stage, stages may overlap; nothing unless `console` is a terminal.

    Finished bars stay as a record of what took how long. Safe to use from threads.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._lock = threading.Lock()
        self._bars: Progress | None = None
        self._open = 0

    @contextmanager
    def stage(self, name: str, *, total: int | None = None) -> Iterator[Advance]:
        if not self._console.is_terminal:
            yield _ignore
            return
        bars, task = self._begin(name, total)
        try:
            yield lambda done: bars.advance(task, done)
        finally:
            self._end(bars, task)

    def _begin(self, name: str, total: int | None) -> tuple[Progress, TaskID]:
        with self._lock:
            if self._bars is None:
                self._bars = _new_bars(self._console)
                self._bars.start()
            self._open += 1
            return self._bars, self._bars.add_task(name, total=total)

    def _end(self, bars: Progress, task: TaskID) -> None:
        with self._lock:
            done = bars.tasks[task]
            # Without a total the bar would go on pulsing; a real total is kept: 3 of 5 is news.
            bars.update(task, total=done.completed if done.total is None else done.total)
            bars.stop_task(task)
            self._open -= 1
            if self._open == 0:
                bars.stop()
                self._bars = None


def _new_bars(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        redirect_stdout=False,  # results go where the caller sends them, not above the bars
    )


def _ignore(_done: int) -> None:
    pass
