"""Reading a response no further than allowed: a 100 MB page or a gzip bomb stops early."""

import zlib
from collections.abc import Iterator

import httpx

GZIP = zlib.MAX_WBITS | 16


class BodyRefused(Exception):
    """The body cannot be used; `str(error)` is the reason."""


async def read_body(response: httpx.Response, *, limit: int) -> bytes:
    """The decompressed body. Raises BodyRefused once more than `limit` bytes are certain.

    httpx would inflate each network chunk whole before anybody could count it, so gzip, the only
    encoding asked for, is undone here in pieces.
    """
    match response.headers.get("content-encoding", "identity").strip().lower():
        case "gzip" | "x-gzip":
            inflate = Inflater(limit=limit)
            async for chunk in response.aiter_raw():
                inflate.feed(chunk)
            return inflate.result()
        case "identity" | "":
            return await _plain(response, limit)
        case other:
            raise BodyRefused(f"content encoding {other} was not asked for")


def gunzip(body: bytes, *, limit: int) -> bytes:
    """A gzip file's content. Raises BodyRefused when it is broken or larger than `limit`."""
    inflate = Inflater(limit=limit)
    inflate.feed(body)
    return inflate.result()


class Inflater:
    """Undoes gzip piece by piece, never holding more than `limit` bytes and one piece."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._stream = zlib.decompressobj(GZIP)
        self._pieces: list[bytes] = []
        self.size = 0
        """Bytes unpacked so far."""

    def feed(self, chunk: bytes) -> None:
        try:
            for piece in self._inflated(chunk):
                self.size += len(piece)
                if self.size > self._limit:
                    raise too_large(self._limit)
                self._pieces.append(piece)
        except zlib.error:
            raise BodyRefused("its gzip compression is broken") from None

    def result(self) -> bytes:
        if not self._stream.eof:
            raise BodyRefused("its gzip compression is broken")
        return b"".join(self._pieces)

    def _inflated(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._stream.eof:
                if chunk[:1] != b"\x1f":  # padding after the last member
                    return
                self._stream = zlib.decompressobj(GZIP)
            yield self._stream.decompress(chunk, self._limit + 1)
            chunk = self._stream.unconsumed_tail or self._stream.unused_data


def too_large(limit: int) -> BodyRefused:
    return BodyRefused(f"larger than {limit:,} bytes")


async def _plain(response: httpx.Response, limit: int) -> bytes:
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise too_large(limit)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)
