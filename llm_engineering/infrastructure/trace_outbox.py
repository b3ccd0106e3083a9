"""Traces on their way out: a line of limited length, and one thread that empties it.

Nobody waits for the thread, not even the end of the process: it may hang in a name that does not
resolve or in a server that accepts and never answers. What it cannot send it tries again, less and
less often; meanwhile the line fills up, and what finds no place in it is lost and counted.
Does not know: how traces are sent, and to whom.
"""

import logging
import time
from collections.abc import Callable, Sequence
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread

from llm_engineering.domain.traces import Trace, TraceTally

WAITING = 1_000
"""Length of the line."""
TOGETHER = 50
"""Traces that are sent at once."""
LINGER_S = 0.5
"""How long the first of them waits for others."""
CLOSE_S = 1.5
"""How long the end of the process waits for what is on its way."""
AGAIN_S = (1.0, 30.0)
"""Pause after a failure: the first, and the longest."""
QUIET_S = 60.0
"""Between two warnings."""

Send = Callable[[Sequence[Trace]], None]

log = logging.getLogger(__name__)


class RefusedTraces(Exception):
    """The server took a look and did not want them: sending them again is of no use."""


class Outbox:
    """Sends to one place. `load` is called in the thread, once, before anything is sent: it
    imports what sending takes and returns what sends, raising RefusedTraces where trying again
    is of no use, and anything else where it is."""

    def __init__(
        self,
        where: str,
        load: Callable[[], Send],
        *,
        waiting: int = WAITING,
        again_s: tuple[float, float] = AGAIN_S,
    ) -> None:
        self._where = where
        self._load = load
        self._again_s = again_s
        self._line: Queue[Trace] = Queue(waiting)
        self._closing = Event()
        self._ended = Event()
        self._lock = Lock()
        self._sent = 0
        self._lost = 0
        self._held = 0
        """Taken, and neither sent nor lost."""
        self._told: float | None = None
        Thread(target=self._run, name=f"traces to {where}", daemon=True).start()

    def put(self, trace: Trace) -> None:
        """Never waits, never raises."""
        if not self._closing.is_set():
            try:
                self._line.put_nowait(trace)
            except Full:
                pass
            else:
                self._count(held=1)
                return
        self._count(lost=1)

    def tally(self) -> TraceTally:
        with self._lock:
            return TraceTally(sent=self._sent, lost=self._lost)

    def close(self, *, within_s: float = CLOSE_S) -> None:
        """Send what waits; what was not sent in time is lost, as is what comes afterwards."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._ended.wait(within_s)
        with self._lock:
            lost = self._lost + self._held
        if lost:
            log.warning("%d traces did not reach %s", lost, self._where)

    def _run(self) -> None:
        try:
            send = self._loaded()
            while send is not None and (batch := self._batch()):
                if not self._delivered(batch, send) and self._closing.is_set():
                    break
        finally:
            self._closing.set()
            left = self._line.qsize()
            self._count(lost=left, held=-left)
            self._ended.set()

    def _loaded(self) -> Send | None:
        try:
            return self._load()
        except Exception as error:
            # A package that does not import, of whatever kind: the answers must go on.
            log.warning(
                "no traces to %s: %s: %s", self._where, type(error).__name__, _one_line(error)
            )
            return None

    def _batch(self) -> list[Trace]:
        """The next ones, and others that came soon after; empty when there will be no more."""
        batch: list[Trace] = []
        while not batch:
            try:
                batch.append(self._line.get(timeout=0 if self._closing.is_set() else LINGER_S))
            except Empty:
                if self._closing.is_set():
                    return []
        self._closing.wait(LINGER_S)
        while len(batch) < TOGETHER:
            try:
                batch.append(self._line.get_nowait())
            except Empty:
                break
        return batch

    def _delivered(self, batch: Sequence[Trace], send: Send) -> bool:
        """Try until it is sent, refused, or the end."""
        pause, longest = self._again_s
        while True:
            last = self._closing.is_set()
            try:
                send(batch)
            except RefusedTraces as error:
                self._tell("refuses traces", error)
                break
            except Exception as error:  # whatever a client raises: the line must go on
                self._tell("takes no traces", error)
                if last:
                    break
                self._closing.wait(pause)
                pause = min(2 * pause, longest)
            else:
                self._count(sent=len(batch), held=-len(batch))
                return True
        self._count(lost=len(batch), held=-len(batch))
        return False

    def _tell(self, what: str, error: Exception) -> None:
        now = time.monotonic()
        if self._told is None or now - self._told >= QUIET_S:
            self._told = now
            log.warning(
                "%s %s (%s: %s); %d wait, %d are lost so far",
                *(self._where, what, type(error).__name__, _one_line(error)),
                *(self._line.qsize(), self.tally().lost),
            )

    def _count(self, *, sent: int = 0, lost: int = 0, held: int = 0) -> None:
        with self._lock:
            self._sent += sent
            self._lost += lost
            self._held += held


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
