"""Whether questions can be answered: the models load, the index opens, the documents answer."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from llm_engineering.api.problems import retry_after_s
from llm_engineering.api.schemas import Part, PartName
from llm_engineering.api.shared_ports import SharedPorts
from llm_engineering.application.rag.retrieve import check_encoders
from llm_engineering.application.windows import GATE
from llm_engineering.domain.errors import TwinError
from llm_engineering.domain.vectors import DenseLeg

LOADING = (Part(name="model", ready=False, detail="still loading"),)
PROBE = "Is anybody there?"
"""Text that is embedded and searched for; what it finds does not matter."""

log = logging.getLogger(__name__)


class Readiness:
    """Runs `check` in its own thread, so that busy workers do not make the server look dead.

    The first run loads the models; until it ends, the answer is "still loading".
    """

    def __init__(self, check: Callable[[], tuple[Part, ...]]) -> None:
        self._check = check
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ready")
        self._running: asyncio.Future[tuple[Part, ...]] | None = None
        self._loaded = False
        self._ended = float("-inf")

    def start(self) -> None:
        """Begin a check unless one runs; those who ask meanwhile share its result."""
        if self._running is None or self._running.done():
            loop = asyncio.get_running_loop()
            self._running = loop.run_in_executor(self._thread, self._check)
            self._running.add_done_callback(self._finished)

    def _finished(self, _: asyncio.Future[tuple[Part, ...]]) -> None:
        self._loaded = True
        self._ended = time.monotonic()

    async def parts(self, *, fresh_s: float = 0.0) -> tuple[Part, ...]:
        """How things are now, or were at most `fresh_s` ago."""
        if time.monotonic() - self._ended >= fresh_s:
            self.start()
        if not self._loaded or self._running is None:
            return LOADING
        return await asyncio.shield(self._running)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def check_parts(ports: SharedPorts) -> tuple[Part, ...]:
    """Use every part once, as a request would."""
    return (
        _part("model", lambda: _use_model(ports)),
        _part("index", lambda: _use_index(ports)),
        _part("documents", lambda: _use_documents(ports)),
    )


def _part(name: PartName, use: Callable[[], str]) -> Part:
    try:
        return Part(name=name, ready=True, detail=use())
    except TwinError as error:
        again = retry_after_s(error)
        return Part(name=name, ready=False, detail=str(error), retry_after_s=again)
    except Exception:
        log.exception("%s: unexpected error", name)
        return Part(name=name, ready=False, detail="unexpected error; the server's log has it")


def _use_model(ports: SharedPorts) -> str:
    ports.embedder.embed([PROBE])
    ports.chat.count_tokens(PROBE)  # an engine that is down does not count either
    return f"{ports.chat.name} over {ports.embedder.name}"


def _use_index(ports: SharedPorts) -> str:
    """Raises IndexEmpty, IndexMismatch."""
    index, embedder = ports.index, ports.embedder
    check_encoders(index, embedder, ports.sparse)
    vector = embedder.embed([PROBE])[0]
    index.search([DenseLeg(name=GATE, vector=vector, limit=1, pool=1)])
    return f"version {index.version()}, {index.count():,} sentences"


def _use_documents(ports: SharedPorts) -> str:
    ports.documents.get_many([PROBE])
    return "answers"
