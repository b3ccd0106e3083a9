"""Which version answers on which server, and how many requests each has under way.

A lane is replaced at once and closed when its last request has ended, so that nobody's answer
changes its author in the middle, and none is dropped.

Does not know: how servers start or end.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from llm_engineering.domain.errors import NotFound
from llm_engineering.infrastructure.vllm_server import VllmServer


class Lane:
    """One version on one server."""

    def __init__(self, server: VllmServer, version: str) -> None:
        self.server = server
        self.version = version
        self.under_way = 0
        self.kept_until = 0.0
        """When it may be closed, after it was replaced."""


class Lanes:
    """Safe to use from threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._current: Lane | None = None
        self._past: list[Lane] = []

    @property
    def current(self) -> Lane | None:
        with self._lock:
            return self._current

    def versions(self) -> tuple[str, ...]:
        """That can be asked for now, the one in production first."""
        with self._lock:
            lanes = (*((self._current,) if self._current else ()), *reversed(self._past))
            return tuple(dict.fromkeys(lane.version for lane in lanes))

    def switch(self, lane: Lane | None, *, linger_s: float = 0.0) -> None:
        """From now on requests without a version go there; None: nowhere.

        The old version can be named for so long: who just saw it in production may ask for it.
        """
        with self._lock:
            if self._current is not None:
                self._current.kept_until = time.monotonic() + linger_s
                self._past.append(self._current)
            self._current = lane

    def drop(self, server: VllmServer) -> None:
        """It has died, and its requests with it."""
        with self._lock:
            self._past = [lane for lane in self._past if lane.server is not server]
            if self._current is not None and self._current.server is server:
                self._current = None

    def closed(self) -> list[Lane]:
        """Past lanes whose last request has ended; they are told once."""
        with self._lock:
            now = time.monotonic()
            done = [lane for lane in self._past if not lane.under_way and now >= lane.kept_until]
            self._past = [lane for lane in self._past if lane not in done]
            return done

    def serves(self, server: VllmServer, version: str | None = None) -> bool:
        """Whether a lane leads there, any version's or that one's."""
        with self._lock:
            lanes = [*self._past, *((self._current,) if self._current else ())]
        return any(lane.server is server and version in (None, lane.version) for lane in lanes)

    @contextmanager
    def taken(self, version: str) -> Iterator[Lane | None]:
        """The lane of a version, of the current one for '', as long as it is needed.

        None when nothing answers now. Raises NotFound, naming those that there are.
        """
        with self._lock:
            lane = self._find(version)
            if lane is not None:
                lane.under_way += 1
        try:
            yield lane
        finally:
            if lane is not None:
                with self._lock:
                    lane.under_way -= 1

    def _find(self, version: str) -> Lane | None:
        if self._current is None or version in ("", self._current.version):
            return self._current
        found = next((lane for lane in reversed(self._past) if lane.version == version), None)
        if found is None:
            listed = ", ".join(repr(each.version) for each in (self._current, *self._past))
            raise NotFound(f"no version {version!r} is served but {listed}")
        return found
