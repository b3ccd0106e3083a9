"""How much one caller may ask: so many requests a minute, so many answers at once.

Counted in this process alone: another server process counts anew.
Does not know: who callers are, HTTP.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

REMEMBERED = 10_000
"""Callers whose buckets are kept; when there are more, those who asked longest ago start anew."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What taking a token from a bucket came to."""

    granted: bool
    limit: int
    remaining: int
    retry_s: float
    """Until there is a token; 0 when there is."""
    full_s: float
    """Until the bucket is full."""


class Buckets:
    """Token buckets: each holds a minute's worth, and refills evenly."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Tokens and the moment they were counted, the caller who asked last at the end."""

    def take(self, caller: str, *, per_minute: int) -> Taken:
        """One token of the caller's bucket, if it holds one."""
        now = self._clock()
        level, counted = self._levels.get(caller, (float(per_minute), now))
        level = min(per_minute, level + (now - counted) * per_minute / 60)
        granted = level >= 1
        level -= granted
        self._levels[caller] = level, now
        self._levels.move_to_end(caller)
        if len(self._levels) > REMEMBERED:
            self._levels.popitem(last=False)
        return Taken(
            granted=granted,
            limit=per_minute,
            remaining=math.floor(level),
            retry_s=0.0 if granted else (1 - level) * 60 / per_minute,
            full_s=(per_minute - level) * 60 / per_minute,
        )


class Places:
    """How many answers each caller has under way."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def enter(self, caller: str, *, limit: int) -> bool:
        """Take a place unless `limit` are taken; who took one must `leave`."""
        taken = self._taken.get(caller, 0)
        if taken >= limit:
            return False
        self._taken[caller] = taken + 1
        return True

    def leave(self, caller: str) -> None:
        left = self._taken[caller] - 1
        if left:
            self._taken[caller] = left
        else:
            del self._taken[caller]

    def under_way(self, caller: str) -> int:
        return self._taken.get(caller, 0)
