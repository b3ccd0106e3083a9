"""Bodies that unpack to more than anybody wants, and troubles told in words."""

import gzip
import socket
import ssl

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.infrastructure.sources.http.body import BodyRefused, Inflater, gunzip
from llm_engineering.infrastructure.sources.http.trouble import (
    Refused,
    Temporary,
    transport_trouble,
)


def test_a_bomb_is_refused_long_before_it_is_unpacked() -> None:
    bomb = gzip.compress(bytes(100_000_000))
    inflate = Inflater(limit=10_000)
    with pytest.raises(BodyRefused, match=r"^larger than 10,000 bytes$"):
        inflate.feed(bomb)
    assert inflate.size <= 2 * 10_000


@given(parts=st.lists(st.binary(), min_size=1), step=st.integers(1, 50))
def test_any_members_in_any_pieces_unpack_to_the_whole(parts: list[bytes], step: int) -> None:
    packed = b"".join(gzip.compress(part, mtime=0) for part in parts) + bytes(5)
    inflate = Inflater(limit=10_000_000)
    for start in range(0, len(packed), step):
        inflate.feed(packed[start : start + step])
    assert inflate.result() == b"".join(parts)


@pytest.mark.parametrize("body", [b"", b"no gzip", gzip.compress(b"some text", mtime=0)[:-9]])
def test_what_is_not_whole_is_refused(body: bytes) -> None:
    with pytest.raises(BodyRefused, match="compression is broken"):
        gunzip(body, limit=1_000)


def caused_by(*causes: Exception) -> httpx.ConnectError:
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = causes[0] if len(causes) == 1 else ExceptionGroup("several", list(causes))
    return error


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError()
    error.verify_message = "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (caused_by(socket.gaierror(-2, "?")), Refused, "name does not resolve"),
        (
            caused_by(certificate_error()),
            Refused,
            "TLS certificate is not valid: certificate has expired",
        ),
        (caused_by(ConnectionRefusedError()), Temporary, "connection refused"),
        (caused_by(OSError(), ConnectionRefusedError()), Temporary, "connection refused"),
        (caused_by(OSError()), Temporary, "no connection"),
        (httpx.ReadError(""), Temporary, "connection broke"),
        (httpx.RemoteProtocolError(""), Temporary, "connection broke"),
    ],
)
def test_troubles_are_told_in_words(
    error: httpx.TransportError, kind: type[Refused | Temporary], reason: str
) -> None:
    trouble = transport_trouble(error, url="https://ada.example/")
    assert isinstance(trouble, kind)
    assert trouble.reason == reason
