"""What every response says to a browser: run nothing, frame nothing, keep nothing."""

from collections.abc import Iterable, Sequence
from typing import Any

Headers = Iterable[tuple[bytes, bytes]]

SECURITY: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    # What is written about one person, to one person, is in no cache.
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
)
"""A response that has one of these already keeps its own."""


def every_response(given: Headers, more: Headers, *, request_id: str) -> list[tuple[bytes, bytes]]:
    """`given` with all that a response of ours has."""
    headers = [*given, (b"x-request-id", request_id.encode()), *more]
    names = {name.lower() for name, _ in headers}
    headers += [each for each in SECURITY if each[0] not in names]
    return headers


def cross_origin(origins: Sequence[str]) -> dict[str, Any]:
    """What pages of `origins` may do: everything that they have a key for, and nothing by cookie.

    OpenAI's clients send many headers of their own, so none is singled out.
    """
    return {
        "allow_origins": list(origins),
        "allow_methods": ["GET", "POST"],
        "allow_headers": ["*"],
        "expose_headers": [
            "mcp-session-id",
            "retry-after",
            "x-request-id",
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
        ],
        "max_age": 600,
    }
