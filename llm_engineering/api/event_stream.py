"""Server-sent events as a response: given on as they come, ended at once when the client leaves.

A client that stays and reads nothing has left as well: it would hold its answer's place for ever.

Does not know: what the events say.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm_engineering.api.work import Abandoned, unless_gone

QUIET_S = 15.0
"""After so long without an event a comment is sent: proxies cut connections that are silent."""
STALLED_S = 30.0
"""How long a client may read nothing of what is on its way: 64 kB, and what the systems keep."""
_COMMENT = b": still here\n\n"

log = logging.getLogger(__name__)


def event(data: str) -> bytes:
    """One event; `data` must not hold a line break, and JSON does not."""
    return f"data: {data}\n\n".encode()


def as_json(data: Any) -> str:
    """On one line, without spaces that nobody reads; half a surrogate pair is escaped."""
    return json.dumps(data, separators=(",", ":"))


class EventStream(Response):
    """Sends what `events` yields; closes it when it ends, and when the client leaves.

    `events` must not raise: it says itself what went wrong.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        *,
        quiet_s: float = QUIET_S,
        stalled_s: float = STALLED_S,
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._quiet_s = quiet_s
        self._stalled_s = stalled_s
        self._sending: float | None = None
        """Since when a part is being sent; looked at now and then, so that parts cost no timers."""

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(Abandoned):
            await unless_gone(
                unless_gone(self._send(send), gone=partial(client_gone, receive)),
                gone=self._stalled,
            )

    async def _stalled(self) -> None:
        """Return when the client has read nothing for too long."""
        clock = asyncio.get_running_loop().time
        while self._sending is None or clock() - self._sending < self._stalled_s:
            await asyncio.sleep(self._stalled_s / 10)
        log.warning("a client read nothing for %g s: its answer is ended", self._stalled_s)

    async def _send(self, sending: Send) -> None:
        clock = asyncio.get_running_loop().time

        async def send(part: dict[str, Any]) -> None:
            self._sending = clock()
            await sending(part)
            self._sending = None

        headers = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(headers)
        async with aclosing(self._events) as events:
            following = asyncio.ensure_future(anext(events, None))
            try:
                while True:
                    # Unlike `wait_for`, this leaves the event on its way when the time is over.
                    done, _ = await asyncio.wait((following,), timeout=self._quiet_s)
                    if not done:
                        await send(_body(_COMMENT))
                        continue
                    found = following.result()
                    if found is None:
                        break
                    await send(_body(found))
                    following = asyncio.ensure_future(anext(events, None))
            finally:
                if not following.done():
                    following.cancel()
                    await asyncio.wait((following,))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _body(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}


async def client_gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
