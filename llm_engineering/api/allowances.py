"""How much a caller may ask: what their key says, else the settings, else what is built in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llm_engineering.api.access import Rule
from llm_engineering.api.callers import Caller
from llm_engineering.api.quotas import Buckets, Places, Taken
from llm_engineering.api.refusals import too_many
from llm_engineering.settings import ApiSettings

REQUESTS_PER_MINUTE, ANSWERS = 600, 32
"""Of a key that says nothing else, where the settings say nothing else."""

Headers = list[tuple[bytes, bytes]]


class Allowances:
    """For one event loop."""

    def __init__(self, limits: ApiSettings, *, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._requests = Buckets(clock)
        self._places = Places()

    @contextmanager
    def spending(
        self, caller: Caller, rule: Rule, *, headers: Headers
    ) -> Iterator[Callable[[], None]]:
        """Takes one request off the caller's allowance, and a place if `rule` is of answers;
        `headers` get what is left. Raises Refused.

        The place is given back at the end, or by calling what this yields: a client that has its
        whole answer may ask again before this server has put away the first.
        """
        self._take_request(caller, headers)
        limit = self._answers(caller) if rule.answers else None
        if limit is None:
            yield _nothing
            return
        if not self._places.enter(caller.name, limit=limit):
            detail = (
                f"{limit} answers are under way, as many as are allowed at once; try again when "
                "one has ended"
            )
            raise too_many(
                caller, detail=detail, reason="answers at once", wait_s=1, kind="too-many-answers"
            )
        taken = [caller.name]

        def leave() -> None:
            if taken:
                self._places.leave(taken.pop())

        try:
            yield leave
        finally:
            leave()

    def _take_request(self, caller: Caller, headers: Headers) -> None:
        per_minute = self._per_minute(caller)
        if per_minute is None:
            return
        taken = self._requests.take(caller.name, per_minute=per_minute)
        headers += _quota_headers(taken)
        if not taken.granted:
            detail = f"{per_minute} requests a minute are allowed; wait {taken.retry_s:.1f} s"
            raise too_many(caller, detail=detail, reason="requests", wait_s=taken.retry_s)

    def _per_minute(self, caller: Caller) -> int | None:
        """None: without limit."""
        if caller.key is None:
            return self._limits.requests_per_minute
        own = caller.key.requests_per_minute
        return own or self._limits.requests_per_minute or REQUESTS_PER_MINUTE

    def _answers(self, caller: Caller) -> int | None:
        """None: as many as the server takes."""
        if caller.key is None:
            return self._limits.answers_per_key
        return caller.key.answers or self._limits.answers_per_key or ANSWERS


def _nothing() -> None:
    """No place was taken."""


def _quota_headers(taken: Taken) -> Headers:
    """As OpenAI names them."""
    return [
        (b"x-ratelimit-limit-requests", b"%d" % taken.limit),
        (b"x-ratelimit-remaining-requests", b"%d" % taken.remaining),
        (b"x-ratelimit-reset-requests", b"%.3fs" % taken.full_s),
    ]
