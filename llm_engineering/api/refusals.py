"""Why a request is not let in, in words for who asks and in words for the audit log."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from llm_engineering.api.callers import Caller
from llm_engineering.domain.access import Scope, without_keys
from llm_engineering.domain.errors import BackendUnavailable

MAKE_A_KEY = "'twin keys create NAME' makes a key"
_CHALLENGE = 'Bearer realm="twin"'


@dataclass(eq=False)
class Refused(Exception):
    """A request that is not let in."""

    status: int
    kind: str
    detail: str
    """For who asks."""
    reason: str
    """For the audit log, which may know more; '' when it has enough of this."""
    caller: Caller
    headers: Mapping[str, str] = field(default_factory=dict)


def without_key(caller: Caller, *, detail: str, reason: str) -> Refused:
    """No key, or a wrong one; whatever is wrong with it is said to nobody."""
    wrong = ', error="invalid_token"' if caller.presented is not None else ""
    headers = {"www-authenticate": _CHALLENGE + wrong}
    return Refused(401, "invalid-api-key", detail, reason, caller, headers)


def stranger(caller: Caller) -> Refused:
    """Of a server that has no keys, and so is for its own machine alone."""
    detail = f"without keys the server answers this machine alone; {MAKE_A_KEY}"
    if not caller.here:
        return without_key(caller, detail=detail, reason="no key was made yet")
    detail = (
        "without keys the server answers to names of this machine alone; allow this one with "
        f"TWIN_API__HOSTS, or use keys: {MAKE_A_KEY}"
    )
    host = without_keys(ascii(caller.host))[:100]
    return Refused(421, "host-not-allowed", detail, f"called {host}", caller)


def without_scope(caller: Caller, *, held: tuple[Scope, ...], wanted: Scope) -> Refused:
    return Refused(
        403,
        "missing-scope",
        f"this key is for {', '.join(held)}, and {wanted} is needed here",
        f"scope {wanted} is missing",
        caller,
        {"www-authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{wanted}"'},
    )


def unreadable_keys(caller: Caller, error: BackendUnavailable) -> Refused:
    """Nobody can be known, so nobody is let in."""
    detail = f"keys cannot be read: {error}"
    reason = "keys cannot be read"
    return Refused(503, "backend-unavailable", detail, reason, caller, {"retry-after": "1"})


def too_many(
    caller: Caller, *, detail: str, reason: str, wait_s: float, kind: str = "rate-limit-exceeded"
) -> Refused:
    """The header in milliseconds is what OpenAI's clients look at first."""
    headers = {
        "retry-after": str(max(1, math.ceil(wait_s))),
        "retry-after-ms": str(max(1, math.ceil(wait_s * 1000))),
    }
    return Refused(429, kind, detail, reason, caller, headers)
