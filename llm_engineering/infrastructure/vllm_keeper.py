"""Keeps one vLLM server answering as the version in production.

    it dies                 it is started again, at growing intervals; after so many quick deaths
                            in a row it is given up, until another version is promoted
    another version         its adapter is loaded beside the old one, which is unloaded when its
                            last request has ended
    ... on another base     a second server is started where two fit, and takes over when it is
                            ready; else the first one is ended before, and nothing answers meanwhile

All of it happens in one thread, which looks around several times a second.

Does not know: chat completions.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event, Thread

from llm_engineering.domain.errors import BackendUnavailable, TwinError
from llm_engineering.infrastructure.served_models import Served, ServedModels
from llm_engineering.infrastructure.vllm_lanes import Lane, Lanes
from llm_engineering.infrastructure.vllm_log import ServerLog
from llm_engineering.infrastructure.vllm_patience import Patience, Starts
from llm_engineering.infrastructure.vllm_server import VllmServer

log = logging.getLogger(__name__)

_USUAL_START_S = 60
"""Before one was seen."""
_HEALTH_S, _SILENT_S = 2.0, 60.0
"""How often a server is asked whether it is well, and how long it may fail to say so."""


class VllmKeeper:
    """Starts with the first `begin`; `end` leaves nothing behind."""

    def __init__(
        self,
        models: ServedModels,
        start: Callable[[Served], VllmServer],
        *,
        log: ServerLog,
        two_fit: bool,
        patience: Patience,
    ) -> None:
        self.lanes = Lanes()
        self._models = models
        self._start = start
        self._said = log
        self._two_fit = two_fit
        self._patience = patience
        self._version = models.production()
        """Seen last in the registry."""
        self._preparing: Future[Served] | None = None
        self._wanted: Served | None = None
        self._answering: Served | None = None
        """Of the lane that is the current one, or was the last."""
        self._serving: VllmServer | None = None
        self._coming: VllmServer | None = None
        self._leaving: list[VllmServer] = []
        self._starts = Starts(patience)
        self._given_up = ""
        self._usual_start_s: float = _USUAL_START_S
        self._looked_at = self._asked_at = self._well_at = 0.0
        self._settled, self._ending = Event(), Event()
        self._unreadable = ""
        self._thread = Thread(target=self._run, name="vllm keeper", daemon=True)

    def begin(self) -> None:
        self._prepare()
        self._thread.start()

    def end(self) -> None:
        """Ending twice is fine."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def wait(self, timeout_s: float) -> None:
        """Until the first start has come to something."""
        self._settled.wait(timeout_s)

    @property
    def version(self) -> str:
        """In production, whether it answers yet or not."""
        return self._version

    @property
    def context(self) -> int | None:
        """Tokens that a prompt and its answer may have together; None before it is known."""
        lane = self.lanes.current
        return lane.server.context if lane else None

    def trouble(self) -> BackendUnavailable:
        """Why nothing answers now, and when to ask again."""
        if self._given_up:
            return BackendUnavailable(self._given_up, retry_after_s=_USUAL_START_S)
        coming = self._coming
        took = coming.lived_s if coming else 0.0
        left = max(1, round(self._usual_start_s - took + self._starts.waits_s))
        again = "has ended and is started again" if self._starts.deaths else "is exchanged"
        what = again if self._settled.is_set() else "is still loading"
        step = f" ({self._said.step}, {took:.0f} s)" if coming else ""
        return BackendUnavailable(f"vLLM {what}{step}; ask again in {left} s", retry_after_s=left)

    def _run(self) -> None:
        while not self._ending.wait(self._patience.look_s):
            try:
                self._look()
            except TwinError as error:
                log.error("vllm: %s", error)
            except Exception:  # the thread must not die: nobody would start the server again
                log.exception("vllm: unexpected error")
        left = [*self._leaving, *filter(None, (self._serving, self._coming))]
        for server in left:  # all at once: each may take its time
            server.let_go()
        for server in left:
            server.end()
        self._settled.set()

    def _look(self) -> None:
        self._close_lanes()
        self._follow_promotions()
        if self._coming is not None:
            self._follow_start(self._coming)
        if self._serving is not None:
            self._follow(self._serving)
        if self._coming is None and self._wanted is not None and self._may_start():
            self._begin_start(self._wanted)

    def _begin_start(self, wanted: Served) -> None:
        try:
            self._coming = self._start(wanted)
        except TwinError as error:  # it would be the same again
            self._failed(str(error))
        except OSError as error:
            self._tries_again("could not be started", str(error), lived_s=0.0)

    def _may_start(self) -> bool:
        answers = self._serving is not None and self._answering == self._wanted
        alone = self._two_fit or not (self._leaving or self._serving)
        return not answers and not self._given_up and alone and not self._starts.waits_s

    def _close_lanes(self) -> None:
        for lane in self.lanes.closed():
            if lane.server is self._serving and not self.lanes.serves(lane.server, lane.version):
                lane.server.unload(lane.version)
                log.info("vllm: unloaded %s", lane.version)
        for server in [each for each in self._leaving if not self.lanes.serves(each)]:
            self._leaving.remove(server)
            server.end()
            log.info("vllm: ended the server of %s", server.served.version)

    def _follow_promotions(self) -> None:
        if self._preparing is not None:
            if self._preparing.done():
                prepared, self._preparing = self._preparing, None
                self._prepared(prepared)
        elif time.monotonic() >= self._looked_at + self._patience.promotion_s:
            self._looked_at = time.monotonic()
            try:
                version = self._models.production()
            except TwinError as error:  # what answers goes on answering
                if str(error) != self._unreadable:
                    log.error("vllm: %s", error)
                self._unreadable = str(error)
                return
            if version != self._version:
                log.info("vllm: %s was promoted", version)
                self._version = version
                self._prepare()

    def _prepare(self) -> None:
        """In a thread that does not keep the interpreter: merging takes minutes."""
        preparing: Future[Served] = Future()

        def work() -> None:
            try:
                preparing.set_result(self._models.wanted())
            except Exception as error:
                preparing.set_exception(error)

        self._preparing = preparing
        Thread(target=work, name="vllm models", daemon=True).start()

    def _prepared(self, prepared: Future[Served]) -> None:
        try:
            wanted = prepared.result()
        except TwinError as error:
            if self._wanted is None:  # nothing answers: it stays so until another promotion
                self._give_up(str(error))
            log.error("vllm: %s is not served: %s", self._version, error)
            return
        self._wanted, self._given_up = wanted, ""
        self._starts.anew()
        if self._coming is not None:  # of a version that is no longer wanted
            self._coming.end()
            self._coming = None
        if self._serving is None:
            return
        if self._serving.takes(wanted):
            self._swap(self._serving, wanted)
        elif not self._two_fit:
            self._leave(self._serving)

    def _swap(self, server: VllmServer, wanted: Served) -> None:
        try:
            if not self.lanes.serves(server, wanted.version):
                server.load(wanted)
        except BackendUnavailable as error:
            if server.health() == "well":  # it is the adapter that is wrong
                self._failed(str(error))
                return
            raise
        self.lanes.switch(Lane(server, wanted.version), linger_s=self._patience.linger_s)
        self._answering = wanted
        log.info("vllm: %s answers", wanted.version)

    def _leave(self, server: VllmServer) -> None:
        """It takes no more requests, and ends after those that it has."""
        if (current := self.lanes.current) is not None and current.server is server:
            self.lanes.switch(None)
        self._serving = None
        self._leaving.append(server)

    def _follow_start(self, coming: VllmServer) -> None:
        match coming.health():
            case "dead":
                self._coming = None
                self._died(coming)
            case "well":
                self._arrived(coming)
            case "silent" if coming.lived_s > self._patience.start_s:
                self._coming = None
                self._died(coming, f"was not ready after {self._patience.start_s:g} s")

    def _arrived(self, coming: VllmServer) -> None:
        self._coming, old = None, self._serving
        self._serving, self._well_at = coming, time.monotonic()
        self._usual_start_s = coming.lived_s
        lane = Lane(coming, coming.served.version)
        self.lanes.switch(lane, linger_s=self._patience.linger_s)
        self._answering = coming.served
        if old is not None:
            self._leaving.append(old)
        log.info("vllm: %s answers, after %.0f s", coming.served.version, coming.lived_s)
        self._settled.set()

    def _follow(self, server: VllmServer) -> None:
        if not server.alive:
            self._died(server)
        elif time.monotonic() > self._asked_at + _HEALTH_S:
            self._asked_at = time.monotonic()
            match server.health():
                case "well":
                    self._well_at = time.monotonic()
                case "dead":
                    self._died(server, "has lost its engine")
                case "silent" if time.monotonic() > self._well_at + _SILENT_S:
                    self._died(server, f"said nothing for {_SILENT_S:g} s")

    def doubt(self) -> None:
        """A request failed: ask the server how it is, soon."""
        self._asked_at = 0.0

    def _died(self, server: VllmServer, why: str = "ended by itself") -> None:
        """Of its own, or because it is of no use any more."""
        self.lanes.drop(server)
        if server is self._serving:
            self._serving = None
        lived_s = server.lived_s
        server.end()
        words = f"{self._said.last_words} (the log is {self._said.path})"
        self._tries_again(why, words, lived_s=lived_s)

    def _tries_again(self, why: str, words: str, *, lived_s: float) -> None:
        if self._starts.ended(lived_s):
            log.error("vllm: it %s after %.0f s: %s", why, lived_s, words)
        else:
            self._failed(f"vLLM {why} {self._starts.deaths} times in a row: {words}")

    def _failed(self, why: str) -> None:
        """No more starts of this version. What answers goes on answering."""
        if self._serving is not None:
            self._wanted = self._answering
            log.error("vllm: %s is not served: %s", self._version, why)
        else:
            self._give_up(f"{why}; correct that and start anew, or promote another version")

    def _give_up(self, why: str) -> None:
        self._given_up = why
        log.error("vllm: %s", why)
        self._settled.set()
