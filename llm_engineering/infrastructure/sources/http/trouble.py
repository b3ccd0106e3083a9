"""What can go wrong on the way to a server, told in words a user can act on."""

import socket
import ssl
from collections.abc import Iterator

import httpx


class Refused(Exception):
    """An address that will not be read; trying again now would not help."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        """The HTTP status when a server answered."""


class Temporary(Exception):
    """A try that failed in a way that may pass."""

    def __init__(
        self,
        reason: str,
        *,
        url: str,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.url = url
        self.status = status
        self.retry_after_s = retry_after_s


def transport_trouble(error: httpx.TransportError, *, url: str) -> Refused | Temporary:
    """httpx hides the cause in a chain of exceptions; a wrong name or certificate is final."""
    for cause in _causes(error):
        match cause:
            case socket.gaierror():
                return Refused("name does not resolve")
            case ssl.SSLCertVerificationError():
                return Refused(f"TLS certificate is not valid: {cause.verify_message}")
            case ConnectionRefusedError():
                return Temporary("connection refused", url=url)
    match error:
        case httpx.ConnectError():
            return Temporary("no connection", url=url)
        case _:
            return Temporary("connection broke", url=url)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Everything that led to `error`, itself first; asyncio may group several attempts."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        pending += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            pending += one.exceptions
