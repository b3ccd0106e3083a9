"""Who sends a request: a key, or somebody on this machine, or a stranger.

Does not know: what they may do.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any

from fastapi import Request

from llm_engineering.domain.access import ApiKey, Scope

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip")


@dataclass(frozen=True, slots=True)
class Caller:
    """As far as it is known."""

    address: str
    """`-` when there is none."""
    here: bool
    """On this machine, and not behind a proxy on it."""
    local: bool
    """Here, and called us by a name of this machine: no web page that had its own name resolved
    to this machine (DNS rebinding)."""
    host: str
    """What they called us by."""
    presented: bytes | None
    """A key, or what they take for one."""
    key: ApiKey | None = None

    @property
    def trusted(self) -> bool:
        """Whether they may see how the server does."""
        return self.local or (self.key is not None and self.key.allows(Scope.ADMIN))

    @property
    def name(self) -> str:
        """What limits are counted by: the key, else the address.

        One household of IPv6 has 2^64 addresses, so of those the network counts.
        """
        if self.key is not None:
            return self.key.id
        try:
            address = ip_address(self.address.partition("%")[0])
        except ValueError:
            return self.address
        if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
            return address.packed[:8].hex()
        return self.address


def owner_of(request: Request) -> str:
    """Whose what the request makes is: the id of its key, '' without one, as over stdio."""
    caller: Caller | None = request.scope.get("caller")
    return caller.key.id if caller is not None and caller.key is not None else ""


def caller_of(scope: Mapping[str, Any], *, hosts: Collection[str]) -> Caller:
    """Who sent the request of this ASGI scope; `hosts` are names of this machine as well."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        found.setdefault(name, value)
    client = scope.get("client")
    address = client[0] if client else "-"
    host = found.get(b"host", b"").decode("latin-1")
    name = _without_port(host)
    here = _is_loopback(address) and not any(name in found for name in _FORWARDED)
    return Caller(
        address=address,
        here=here,
        local=here and (name in LOCAL_NAMES or name in hosts or _is_loopback(name.strip("[]"))),
        host=host,
        presented=_presented(found),
    )


def _presented(headers: Mapping[bytes, bytes]) -> bytes | None:
    scheme, _, credential = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and credential.strip():
        return credential.strip()
    return headers.get(b"x-api-key") or None


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower().removesuffix(".")


@lru_cache(1024)
def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
