"""The thread that computes: takes rows in, steps through all of them, ends those that are done.

Does not know: requests, versions, text.
"""

import logging
from collections import deque
from threading import Condition, Thread

from llm_engineering.domain.errors import BackendUnavailable, MissingExtra
from llm_engineering.infrastructure.decoding.local_base import LocalBase
from llm_engineering.infrastructure.decoding.row_batch import RowBatch, failed
from llm_engineering.infrastructure.decoding.rows import Row

try:
    import torch
except ModuleNotFoundError as error:
    raise MissingExtra("torch", extra="train") from error

log = logging.getLogger(__name__)


class GenerationThread:
    """Starts with the first row. Its methods may be called from any thread."""

    def __init__(self, *, rows: int, threads: int) -> None:
        """`rows`: answers that share a pass at most, the others wait in line; `threads`: of torch,
        0 for one per core."""
        self._at_once = rows
        self._threads = threads
        self._changed = Condition()
        self._waiting: deque[Row] = deque()
        self._batches: dict[LocalBase, RowBatch] = {}
        self._thread: Thread | None = None
        self._closed = False

    @property
    def running(self) -> int:
        """Answers that are being made or wait for it; one that was left is made until its pass
        is over."""
        with self._changed:
            waiting = sum(not row.left for row in self._waiting)
        batches = list(self._batches.values())
        return waiting + sum(not row.ended for batch in batches for row in batch.rows)

    def submit(self, row: Row) -> None:
        """Raises BackendUnavailable after the end."""
        with self._changed:
            if self._closed:
                raise _ended()
            self._waiting.append(row)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="generation", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """End all answers where they are. Closing twice is fine."""
        with self._changed:
            self._closed = True
            thread, self._thread = self._thread, None
            self._changed.notify()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        if self._threads:
            torch.set_num_threads(self._threads)
        while self._admit():
            for batch in list(self._batches.values()):
                try:
                    batch.step()
                except Exception as error:
                    log.exception("a pass failed")
                    self._abandon(batch, error)
            self._batches = {base: batch for base, batch in self._batches.items() if len(batch)}
        for row in self._left_over():
            row.fail(_ended())

    def _admit(self) -> bool:
        """Wait for something to do and take in who is next; False at the end."""
        with self._changed:
            computed = sum(map(len, self._batches.values()))
            while not (self._closed or self._waiting or self._batches):
                self._changed.wait()
            self._waiting = deque(row for row in self._waiting if not row.left)
            while self._waiting and computed < self._at_once:
                row = self._waiting.popleft()
                base = row.served.base
                self._batches.setdefault(base, RowBatch(base)).join(row)
                computed += 1
            return not self._closed

    def _abandon(self, batch: RowBatch, error: Exception) -> None:
        """Nobody of this batch can be helped; its cache goes with it."""
        del self._batches[next(base for base, each in self._batches.items() if each is batch)]
        for row in batch.rows:
            row.fail(failed(row.served.version, error))

    def _left_over(self) -> list[Row]:
        with self._changed:
            rows = [row for batch in self._batches.values() for row in batch.rows]
            rows.extend(self._waiting)
            self._waiting.clear()
            self._batches.clear()
        return rows


def _ended() -> BackendUnavailable:
    return BackendUnavailable("the transformers engine has ended; start the server again")
