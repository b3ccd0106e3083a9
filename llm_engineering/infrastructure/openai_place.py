"""Where a chat server listens, and what is said of one that is not there.

Does not know: what is sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_engineering.domain.errors import MissingExtra

try:
    import httpx
except ImportError as error:
    raise MissingExtra("httpx", extra="api") from error

CONNECTIONS = httpx.Limits(max_connections=None, max_keepalive_connections=64)
"""Who may ask how much at once is decided before an engine is asked."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What is said, and advised, of a server that is not there, or no longer."""

    gone: str = "does not answer; start it, correct TWIN_CHAT__BASE_URL, or unset TWIN_CHAT__KIND"
    broken: str = "ended its answer in the middle; its log says why, then ask again"


WORDING = Wording()
"""Of a server that somebody else keeps."""


def transport_to(socket: Path | None) -> httpx.HTTPTransport | None:
    """None: by the address, through the environment's proxy."""
    return None if socket is None else httpx.HTTPTransport(uds=str(socket))


def streaming_client(
    base_url: str, *, headers: Mapping[str, str], timeout_s: float, socket: Path | None
) -> httpx.AsyncClient:
    """For answers that come in pieces, in one event loop."""
    return httpx.AsyncClient(
        base_url=base_url,
        headers=dict(headers),
        timeout=timeout_s,
        limits=CONNECTIONS,
        transport=httpx.AsyncHTTPTransport(uds=str(socket), limits=CONNECTIONS) if socket else None,
    )
