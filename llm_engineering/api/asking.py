"""From a question to the pieces of its answer: retrieval in the threads, the model on the loop.

Does not know: which shape a client wants the answer in.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from fastapi import Request

from llm_engineering.api.callers import owner_of
from llm_engineering.api.event_stream import client_gone
from llm_engineering.api.keeping import Keeping
from llm_engineering.api.served import ServedAnswers
from llm_engineering.api.shared_ports import SharedPorts
from llm_engineering.api.watching import Watch, Watcher
from llm_engineering.api.work import Overloaded, Wait, WorkPool, unless_gone
from llm_engineering.application.conversations import Turn, take_turn
from llm_engineering.application.rag.answer import stream_answer
from llm_engineering.application.rag.find import SearchPorts
from llm_engineering.application.rag.preparing import (
    AnswerConfig,
    Prepared,
    prepare,
    prepare_direct,
    said_plainly,
)
from llm_engineering.application.rag.prompts import named
from llm_engineering.application.rag.standing import Upholding
from llm_engineering.domain.chat import Answer, Generation, Message
from llm_engineering.domain.documents import DocumentFilter
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.traces import TraceParent
from llm_engineering.ports.models import ChatModel, SparseEncoder

Pieces = AsyncGenerator[str | Answer, None]
Finish = Callable[[Answer], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and everything about how it is to be answered."""

    question: str
    where: DocumentFilter
    history: tuple[Message, ...]
    generation: Generation
    retrieval: bool = True
    """False: the conversation alone, as the twin was trained to answer it."""
    conversation: str = ""
    """Id of the one that is kept; '' for none."""
    streamed: bool = False
    """Whoever asked sees the pieces as they come."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A question that is prepared, before the model speaks."""

    prepared: Prepared
    index_version: str
    """The version that was published when the question was asked; '' without retrieval."""
    model: str
    """Which of the engine's models is to speak."""
    waited_ms: float
    """In line, before a thread took it."""
    reranker: str
    """The one that ran; '' for none."""
    chat: ChatModel
    sparse: SparseEncoder
    upholding: Upholding
    turn: Turn | None = None
    """Of the conversation that is kept."""


class Answering:
    """Takes questions, so many at a time. For one event loop."""

    def __init__(
        self,
        ports: SharedPorts,
        pool: WorkPool,
        config: AnswerConfig,
        *,
        at_once: int,
        within_s: float,
        watcher: Watcher,
        served: ServedAnswers,
    ) -> None:
        """`at_once`: answers that may be under way; `within_s`: how long one may take."""
        self._ports = ports
        self._pool = pool
        self._config = config
        self._at_once = at_once
        self._within_s = within_s
        self._watcher = watcher
        self._keeping = Keeping(ports, served)
        self.open = 0
        """Answers that are under way."""

    @asynccontextmanager
    async def answering(self, asked: Asked, request: Request) -> AsyncIterator["Opened"]:
        """The prepared question with the first piece of its answer, so that what fails at once
        fails before anything is said. Leaving ends the work.

        Raises Overloaded, Abandoned when the client left, and what `prepare` and the model raise.
        """
        gone = partial(client_gone, request.receive)
        deadline = asyncio.get_running_loop().time() + self._within_s
        with (
            self._watcher.watch(asked.question, request) as watch,
            self._place(),
            self._keeping.alone(asked.conversation),
        ):
            ready = await self._ready(asked, owner_of(request), gone=gone, parent=watch.onward)
            watch.prepared(ready)
            pieces = stream_answer(
                ready.prepared,
                chat=ready.chat,
                sparse=ready.sparse,
                upholding=ready.upholding,
                seen=asked.streamed,
            )
            async with aclosing(pieces):
                opened = Opened(
                    ready,
                    pieces,
                    deadline=deadline,
                    within_s=self._within_s,
                    watch=watch,
                    finish=partial(self._finish, asked, ready, request),
                )
                await unless_gone(opened.begin(), gone=gone)
                yield opened

    async def _finish(self, asked: Asked, ready: Ready, request: Request, whole: Answer) -> Answer:
        prompted = ready.prepared.request
        return await self._keeping.kept(
            asked.question,
            whole,
            prompt=prompted.messages if prompted else (),
            owner=owner_of(request),
            turn=ready.turn,
            sparse=ready.sparse,
            index_version=ready.index_version,
        )

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the answers that may be under way. Raises Overloaded."""
        if self.open >= self._at_once:
            raise Overloaded(
                f"{self._at_once} answers are under way, and the server takes no more at once; "
                "try again in a second"
            )
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    async def _ready(
        self, asked: Asked, owner: str, *, gone: Wait, parent: TraceParent | None
    ) -> Ready:
        came = time.perf_counter()

        def job() -> Ready:
            begun = time.perf_counter()
            ports = self._ports.search_ports
            version = ports.index.version() if asked.retrieval else ""
            turn = self._turn(asked, owner, ports) if asked.conversation else None
            prepared = self._prepared(asked, turn)
            waited_ms = (begun - came) * 1e3
            model = asked.generation.model or production_model(ports.chat)
            if prepared.request is not None:
                # Whoever is promoted meanwhile answers the next question.
                chosen = {"model": model} if ports.chat.capabilities.adapters else {}
                request = prepared.request.model_copy(update={"parent": parent, **chosen})
                prepared = replace(prepared, request=request)
            return Ready(
                prepared,
                version,
                model,
                waited_ms,
                self._reranks(ports) if asked.retrieval else "",
                ports.chat,
                ports.sparse,
                self._config.upholding(ports),
                turn,
            )

        return await self._pool.run(job, gone=gone)

    def _reranks(self, ports: SearchPorts) -> str:
        reranker = ports.reranker if self._config.stages.rerank.weight > 0 else None
        return reranker.name if reranker is not None else ""

    def _turn(self, asked: Asked, owner: str, ports: SearchPorts) -> Turn:
        seen = self._ports.conversations.get(asked.conversation, owner=owner)
        return take_turn(
            seen, asked.question, config=self._config, chat=ports.chat, sparse=ports.sparse
        )

    def _prepared(self, asked: Asked, turn: Turn | None) -> Prepared:
        if turn is not None and turn.plain:
            return said_plainly(asked.question, turn.plain)
        if not asked.retrieval:
            return prepare_direct(
                asked.history,
                author=named(self._ports.authors()),
                config=self._config,
                generation=asked.generation,
            )
        return prepare(
            asked.question,
            config=turn.recalled.config if turn else self._config,
            ports=self._ports.search_ports,
            where=asked.where,
            history=turn.recalled.history if turn else asked.history,
            generation=asked.generation,
        )


class Opened:
    """An answer under way: its pieces, the last of which is the whole Answer."""

    def __init__(
        self,
        ready: Ready,
        pieces: Pieces,
        *,
        deadline: float,
        within_s: float,
        watch: Watch,
        finish: Finish,
    ) -> None:
        """`finish` is told the whole answer before anybody else."""
        self.ready = ready
        self._finish = finish
        self._watch = watch
        self._pieces = pieces
        self._deadline = deadline
        self._within_s = within_s
        self._first: str | Answer | None = None

    async def begin(self) -> None:
        """Wait for the first piece."""
        self._first = await self._next()

    async def __aiter__(self) -> AsyncIterator[str | Answer]:
        piece = self._first
        while piece is not None:
            yield piece
            piece = None if isinstance(piece, Answer) else await self._next()

    def total_ms(self, answer: Answer) -> dict[str, float]:
        """The answer's timings with the time in line, which is in `total` as well."""
        waited = self.ready.waited_ms
        total = answer.timings_ms["total"] + waited
        return {**answer.timings_ms, "wait": waited, "total": total}

    async def whole(self) -> Answer:
        """The answer at its end."""
        async for piece in self:
            if isinstance(piece, Answer):
                return piece
        raise AssertionError("an answer always ends with itself")

    async def _next(self) -> str | Answer:
        try:
            async with asyncio.timeout_at(self._deadline):
                piece = await anext(self._pieces)
        except TimeoutError:
            late = BackendUnavailable(
                f"the answer was not complete after {self._within_s:g} s; ask for fewer tokens, or "
                "raise TWIN_API__ANSWER_TIMEOUT_S"
            )
            self._watch.broke(late)
            raise late from None
        except BaseException as error:  # who reads the pieces may turn it into one of them
            self._watch.broke(error)
            raise
        if isinstance(piece, Answer):
            piece = await self._finish(piece)
            self._watch.whole(piece)
        else:
            self._watch.piece()
        return piece


def production_model(chat: ChatModel) -> str:
    """The one that speaks where no other is named."""
    return chat.models()[0] if chat.capabilities.adapters else chat.name
