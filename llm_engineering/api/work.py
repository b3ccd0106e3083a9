"""Blocking work off the event loop: a fixed number of threads and a line of limited length.

Does not know: HTTP, or what the work is.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any, TypeVar

from llm_engineering.domain.errors import BackendUnavailable

T = TypeVar("T")
Wait = Callable[[], Coroutine[Any, Any, object]]

WAITING_PER_WORKER = 32
"""Length of the line; past it, refusing at once serves a client better than a long wait."""


class Overloaded(BackendUnavailable):
    """Every worker is busy and the line is full; nothing was started."""


class Abandoned(Exception):
    """Whoever asked is gone; the work was dropped if it had not begun."""


async def unless_gone(work: Awaitable[T], *, gone: Wait) -> T:
    """What `work` gives; it is cancelled, and Abandoned raised, when `gone()` ends before it."""
    doing = asyncio.ensure_future(work)
    left = asyncio.ensure_future(gone())
    try:
        await asyncio.wait((doing, left), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise Abandoned
        return doing.result()
    finally:
        left.cancel()
        if not doing.done():
            doing.cancel()
            await asyncio.wait((doing,))


class WorkPool:
    """`workers` threads that take jobs in order of arrival."""

    def __init__(self, *, workers: int, waiting: int = 0) -> None:
        """`waiting`: places in the line at least."""
        self._workers = workers
        self._waiting = max(workers * WAITING_PER_WORKER, waiting)
        self._places = BoundedSemaphore(workers + self._waiting)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="answer")

    async def run(self, job: Callable[[], T], *, gone: Wait) -> T:
        """Run `job` in a thread, in the caller's context, and give what it returns or raises.

        `gone()` ends when nobody waits for the result any more; then a job still in line is
        dropped and Abandoned raised. Raises Overloaded when the line is full.
        """
        return await unless_gone(asyncio.wrap_future(self._submit(job)), gone=gone)

    async def call(self, job: Callable[[], T]) -> T:
        """Run `job`, whoever waits. Raises Overloaded when the line is full."""
        return await asyncio.wrap_future(self._submit(job))

    def _submit(self, job: Callable[[], T]) -> Future[T]:
        if not self._places.acquire(blocking=False):
            raise Overloaded(
                f"all {self._workers} workers are busy and {self._waiting} requests wait; "
                "try again in a second"
            )
        future = self._threads.submit(contextvars.copy_context().run, job)
        # In the thread that ends it: a place is free only when its thread is.
        future.add_done_callback(lambda _: self._places.release())
        return future

    def close(self) -> None:
        """Drop what waits; what runs, runs to its end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
