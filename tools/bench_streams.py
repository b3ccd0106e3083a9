"""Asks a server for streamed answers, many at a time, and notes when each piece arrived.

Sockets and a parser of its own: a client library would take more time than what is measured.
"""

import asyncio
import json
import time
from asyncio import StreamReader, StreamWriter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer."""

    asked: float
    arrivals: NDArray[np.float64]
    """When each piece of text came, in seconds of the same clock."""
    tokens: int

    @property
    def first_s(self) -> float:
        """Until the first piece."""
        return float(self.arrivals[0] - self.asked)

    @property
    def whole_s(self) -> float:
        return float(self.arrivals[-1] - self.asked)

    @property
    def gaps_s(self) -> NDArray[np.float64]:
        """Between one piece and the next."""
        return np.diff(self.arrivals)


async def ask(
    address: str, body: dict[str, Any], *, headers: dict[str, str] | None = None
) -> Heard:
    """One answer from `host:port`. Raises RuntimeError for anything but a whole one."""
    asked = time.perf_counter()
    reader, writer = await opened(address, body, headers=headers)
    try:
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(f"{status.decode().strip()}: {(await reader.read())[-300:]!r}")
        arrivals, tokens, done = [], 0, False
        while line := await reader.readline():
            if line.startswith(b"data: [DONE]"):
                done = True
                break
            if says(line):
                arrivals.append(time.perf_counter())
                tokens += _words(line)
        if not done or not arrivals:
            raise RuntimeError("the answer broke off")
        return Heard(asked, np.array(arrivals), tokens)
    finally:
        writer.close()


async def opened(
    address: str, body: dict[str, Any], *, headers: dict[str, str] | None = None
) -> tuple[StreamReader, StreamWriter]:
    """A connection to `host:port` that has asked for an answer in pieces."""
    host, port = address.split(":")
    payload = json.dumps({**body, "stream": True}).encode()
    lines = {
        "host": address,
        "content-type": "application/json",
        "content-length": str(len(payload)),
        "connection": "close",
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + payload)
    return reader, writer


def says(line: bytes) -> bool:
    """Whether a line of an event stream has text of the answer."""
    even = line.replace(b'": "', b'":"')
    return even.startswith(b"data: ") and b'"content":"' in even and b'"content":""' not in even


def _words(line: bytes) -> int:
    """Tokens in a piece: the scripted engine's are words."""
    delta = json.loads(line.removeprefix(b"data: "))["choices"][0]["delta"]
    return len(str(delta["content"]).split())


async def rounds(
    address: str,
    bodies: list[dict[str, Any]],
    *,
    at_once: int,
    over_s: float = 0.0,
    headers: dict[str, str] | None = None,
) -> tuple[list[Heard], float]:
    """All answers, so many at a time, and the seconds that they took together.

    Who asks begins within `over_s`, evenly spread: people do not ask in step.
    """
    waiting = list(reversed(bodies))
    heard: list[Heard] = []

    async def one_after_the_other(number: int) -> None:
        await asyncio.sleep(over_s * number / at_once)
        while waiting:
            heard.append(await ask(address, waiting.pop(), headers=headers))

    started = time.perf_counter()
    await asyncio.gather(*(one_after_the_other(number) for number in range(at_once)))
    return heard, time.perf_counter() - started
