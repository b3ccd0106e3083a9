"""How soon the place of a client that leaves is free for the next one.

The server takes so many answers at once, and all places are taken. One client closes its connection
in the middle of its answer; from then on another asks until it is let in. A place is given back
after the engine's stream was closed, so the time from the one to the other holds both, and asking.
"""

import asyncio
import time
from asyncio import StreamReader, StreamWriter
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.bench_streams import opened, says

RETRY_S = 0.001
"""Between one refusal and the next question."""
WITHIN_S = 10.0
"""Longer than this nobody waits to be let in."""


async def leaving(
    address: str,
    body: dict[str, Any],
    *,
    others: int,
    tries: int,
    headers: dict[str, str] | None = None,
) -> NDArray[np.float64]:
    """Seconds from each of `tries` clients' leaving until the next one is answered.

    The server at `host:port` must take one answer more than `others`, which go on meanwhile.
    """
    seconds, staying = [], []
    with ExitStack() as stack:
        for _ in range(others):
            reader, writer = await _let_in(address, body, headers)
            stack.callback(writer.close)
            staying.append(asyncio.create_task(_drained(reader)))
            stack.callback(staying[-1].cancel)
        reader, writer = await _let_in(address, body, headers)
        stack.callback(lambda: writer.close())
        await _refused(address, body, headers)
        for _ in range(tries):
            await _first_piece(reader)
            writer.close()
            left = time.perf_counter()
            reader, writer = await _let_in(address, body, headers)
            seconds.append(time.perf_counter() - left)
        if any(task.done() for task in staying):
            raise RuntimeError("another answer ended meanwhile; its place was free as well")
    return np.array(seconds)


async def _let_in(
    address: str, body: dict[str, Any], headers: dict[str, str] | None
) -> tuple[StreamReader, StreamWriter]:
    """A stream whose answer has begun; asks again as long as all places are taken."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            reader, writer = await opened(address, body, headers=headers)
            status = b""
            try:
                status = await reader.readline()
            finally:
                if b" 200 " not in status:
                    writer.close()
            if b" 200 " in status:
                return reader, writer
            if b" 503 " not in status:
                raise RuntimeError(status.decode().strip() or "the server closed the connection")
            await asyncio.sleep(RETRY_S)


async def _refused(address: str, body: dict[str, Any], headers: dict[str, str] | None) -> None:
    """Raises RuntimeError when there is a place although nobody has left."""
    reader, writer = await opened(address, body, headers=headers)
    try:
        if b" 503 " not in await reader.readline():
            raise RuntimeError("the server takes more answers at once than were to be taken")
    finally:
        writer.close()


async def _first_piece(reader: StreamReader) -> None:
    """Until the answer is under way."""
    while line := await reader.readline():
        if says(line):
            return
    raise RuntimeError("the answer broke off")


async def _drained(reader: StreamReader) -> None:
    """Read to the end, as a client that stays."""
    with suppress(ConnectionError):
        while await reader.read(65_536):
            pass
