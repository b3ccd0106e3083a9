"""Answers from the twin itself, in this process: its base with the adapter that is in production.

For one machine and a few who ask; vLLM is faster where there is a GPU.

Does not know: batching, adapters, where versions are kept; see `decoding`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from llm_engineering.domain.chat import Capabilities, ChatRequest, Completion, Delta, Sampling
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.infrastructure.decoding.generation_thread import GenerationThread
from llm_engineering.infrastructure.decoding.local_base import DeviceName, LocalBase
from llm_engineering.infrastructure.decoding.rows import Piece, Row
from llm_engineering.infrastructure.decoding.served_versions import ServedVersions
from llm_engineering.infrastructure.decoding.token_choice import Choice
from llm_engineering.ports.jobs import ModelRegistry


class TransformersChat:
    """Generating `ChatModel`. Nothing is loaded before the first question."""

    def __init__(
        self,
        registry: ModelRegistry,
        *,
        home: Path,
        base: str | None = None,
        device: DeviceName = "auto",
        threads: int = 0,
        rows: int = 16,
        adapters: int = 4,
    ) -> None:
        """`base`: where the base is, when not where the manifests say; `rows`: answers that are
        computed together; `adapters`: versions kept loaded."""
        self._versions = ServedVersions(
            registry, home=home, base=base, device=device, adapters=adapters
        )
        self._thread = GenerationThread(rows=rows, threads=threads)

    @property
    def name(self) -> str:
        return "transformers"

    @property
    def generates(self) -> bool:
        return True

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(adapters=True, seed=True, context=self._versions.window)

    @property
    def running(self) -> int:
        """Answers that are being made or wait for it."""
        return self._thread.running

    def models(self) -> tuple[str, ...]:
        """Versions over the base that is in production. Raises BackendUnavailable for none."""
        return self._versions.names()

    def count_tokens(self, text: str) -> int:
        """In production's tokens. Raises as `complete` does."""
        return len(self._versions.open().base.ids(text))

    def complete(self, request: ChatRequest) -> Completion:
        pieces: SimpleQueue[Piece] = SimpleQueue()
        row = self._row(request, tell=pieces.put)
        self._thread.submit(row)
        try:
            while True:
                match pieces.get():
                    case Completion() as completion:
                        return completion
                    case Exception() as error:
                        raise error
        finally:
            row.leave()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Completion, None]:
        pieces: asyncio.Queue[Piece] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(piece: Piece) -> None:
            with suppress(RuntimeError):  # the loop has ended, and whoever asked with it
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        row = await asyncio.to_thread(self._row, request, tell=tell)
        self._thread.submit(row)
        try:
            while True:
                match await pieces.get():
                    case Exception() as error:
                        raise error
                    case Completion() as completion:
                        yield completion
                        return
                    case delta:
                        yield delta
        finally:
            row.leave()

    def close(self) -> None:
        """End all answers and the thread that makes them. Closing twice is fine."""
        self._thread.close()

    def _row(self, request: ChatRequest, *, tell: Callable[[Piece], object]) -> Row:
        served = self._versions.open(request.model)
        prompt = served.base.prompt(request.messages)
        room = served.base.window - len(prompt)
        if room < 1 or not prompt:
            raise InvalidInput(
                f"the conversation has {len(prompt)} tokens and {served.base.name!r} reads "
                f"{served.base.window}, the answer included; say less, or lower history_tokens "
                "and the passages' tokens in the config"
            )
        return Row(
            prompt,
            limit=min(request.max_tokens, room),
            choice=choice_of(request.sampling, served.base),
            stop=request.sampling.stop,
            served=served,
            tell=tell,
        )


def choice_of(sampling: Sampling, base: LocalBase) -> Choice:
    """What nobody asked for is as the base's makers say, as in vLLM."""
    own = base.defaults
    seed = None if sampling.seed is None else sampling.seed % 2**64
    return Choice(
        temperature=_first(sampling.temperature, own.temperature, 1.0),
        top_p=_first(sampling.top_p, own.top_p, 1.0),
        top_k=int(own.top_k or 0),
        random=np.random.default_rng(seed),
    )


def _first(*values: float | None) -> float:
    return next(float(value) for value in values if value is not None)
