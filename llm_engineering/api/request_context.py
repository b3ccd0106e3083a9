"""Which request this is, whose, and of which trace: for the log, for metrics, for traces.

Whoever lets a request in sets KEY_ID; the rest is set around every request.
Does not know: what a request asks for.
"""

import re
import secrets
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from llm_engineering.domain.access import without_keys
from llm_engineering.domain.traces import TraceParent

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="-")
KEY_ID: ContextVar[str] = ContextVar("key_id", default="")
"""Id of the key that a request came with, never the key; '' without one."""
TRACE_PARENT: ContextVar[TraceParent | None] = ContextVar("trace_parent", default=None)

_GIVEN = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
UNMATCHED = "unmatched"


def request_id_of(scope: Mapping[str, Any]) -> str:
    """The caller's `x-request-id` where it is short and plain and no key, else a new one."""
    given = _header(scope, b"x-request-id")
    if not _GIVEN.fullmatch(given) or without_keys(given.decode()) != given.decode():
        return new_request_id()
    return given.decode()


def new_request_id() -> str:
    """A UUID of version 7 (RFC 9562): they sort by time, and Opik takes them as they are."""
    random = secrets.randbits(74)
    number = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80
    number |= 7 << 76 | (random >> 62) << 64 | 2 << 62 | random & (1 << 62) - 1
    return str(UUID(int=number))


def trace_parent_of(scope: Mapping[str, Any]) -> TraceParent | None:
    """The caller's span, by W3C's Trace Context; None where there is none, or none that is well
    formed."""
    found = _PARENT.fullmatch(_header(scope, b"traceparent"))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    # A later version may have more after the fields of the first one.
    if version == b"ff" or (version == b"00" and more):
        return None
    if not trace_id.strip(b"0") or not span_id.strip(b"0"):
        return None
    return TraceParent(trace_id.decode(), span_id.decode(), sampled=bool(int(flags, 16) & 1))


def route_of(scope: Mapping[str, Any]) -> str:
    """The template of the route that took the request, never its path; UNMATCHED for none."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else UNMATCHED


def method_of(scope: Mapping[str, Any]) -> str:
    """The request's method where its route takes it, else `other`: a client may send any word."""
    method = scope["method"]
    methods = getattr(scope.get("route"), "methods", None) or ()
    return method if method in methods else "other"


def _header(scope: Mapping[str, Any], wanted: bytes) -> bytes:
    """'' where it is not there, or there twice."""
    found: list[bytes] = [value for name, value in scope["headers"] if name == wanted]
    return found[0] if len(found) == 1 else b""
