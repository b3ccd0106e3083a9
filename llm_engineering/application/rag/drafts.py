"""Drafts: several answers to one request, of which the one that most agree with is given.

Self-consistency (Wang et al. 2023) for prose: a sentence of a draft counts by how near the nearest
sentence of every other draft is to it, and by how near the nearest sentence of the evidence is. A
draft that says what no other says, or what no passage says, loses to one that does not. Nothing is
said before the choice is made. Does not know: whether the choice is true.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from llm_engineering.domain.chat import (
    Capabilities,
    ChatRequest,
    Completion,
    Delta,
    Passage,
    Step,
    Usage,
)
from llm_engineering.domain.errors import TwinError
from llm_engineering.domain.vectors import Floats
from llm_engineering.ports.models import ChatModel, Embedder

_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n+")
_MARK = re.compile(r"\s*\[\d+\]")


@dataclass(frozen=True, slots=True)
class Drafting:
    """How many drafts, and who says how near two sentences are."""

    drafts: int = 1
    embedder: Embedder | None = None

    def over(self, chat: ChatModel) -> ChatModel:
        """`chat`, answering with the best of its drafts; itself when there is nothing to choose."""
        if self.embedder is None or self.drafts == 1 or not chat.generates:
            return chat
        return DraftingChat(chat, drafts=self.drafts, embedder=self.embedder)


UNDRAFTED = Drafting()


class DraftingChat:
    """A ChatModel that makes drafts with another one and gives the best of them."""

    generates = True

    def __init__(self, chat: ChatModel, *, drafts: int, embedder: Embedder) -> None:
        self._chat = chat
        self._drafts = drafts
        self._embedder = embedder

    @property
    def name(self) -> str:
        return self._chat.name

    @property
    def capabilities(self) -> Capabilities:
        return self._chat.capabilities

    def models(self) -> tuple[str, ...]:
        return self._chat.models()

    def count_tokens(self, text: str) -> int:
        return self._chat.count_tokens(text)

    def complete(self, request: ChatRequest) -> Completion:
        """One draft after the other; those that fail are left out. Raises when all of them do."""
        begun = time.perf_counter()
        made: list[Completion] = []
        failed: TwinError | None = None
        for each in self._requests(request):
            try:
                made.append(self._chat.complete(each))
            except TwinError as error:
                failed = error
        return self._best(made, failed, request, begun)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Completion, None]:
        """The best draft as one piece. Closing the iterator ends the draft that is under way."""
        begun = time.perf_counter()
        made: list[Completion] = []
        failed: TwinError | None = None
        for each in self._requests(request):
            try:
                made += await _whole(self._chat, each)
            except TwinError as error:
                failed = error
        best = await asyncio.to_thread(self._best, made, failed, request, begun)
        if best.text:
            yield Delta(best.text)
        yield best

    def _requests(self, request: ChatRequest) -> list[ChatRequest]:
        """One per draft, by seeds that follow each other; one alone where tools may be called."""
        if request.tools:
            return [request]
        seed = request.sampling.seed or 0
        return [
            request.model_copy(
                update={"sampling": request.sampling.model_copy(update={"seed": seed + number})}
            )
            for number in range(self._drafts)
        ]

    def _best(
        self,
        made: Sequence[Completion],
        failed: TwinError | None,
        request: ChatRequest,
        begun: float,
    ) -> Completion:
        if not made:
            if failed is None:
                raise RuntimeError("an engine ended its answer without a completion")
            raise failed
        if request.tools:
            return made[0]
        texts = [each.text for each in made]
        scores = agreement(texts, request.passages, embedder=self._embedder)
        place = max(range(len(made)), key=lambda at: (scores[at], -at))
        step = Step(
            kind="draft",
            text=f"draft {place + 1} of {len(made)}, agreement {scores[place]:.2f}",
            took_ms=(time.perf_counter() - begun) * 1e3,
        )
        usage = Usage(
            prompt_tokens=sum(each.usage.prompt_tokens for each in made),
            completion_tokens=sum(each.usage.completion_tokens for each in made),
        )
        return made[place].model_copy(update={"usage": usage, "steps": (step,)})


def agreement(
    texts: Sequence[str], passages: Sequence[Passage], *, embedder: Embedder
) -> list[float]:
    """How far each text agrees with the others and with the passages; 0 for an empty one."""
    drafts = [_sentences(_MARK.sub("", text)) for text in texts]
    said = [sentence for passage in passages for sentence in _sentences(passage.text)]
    every = list(dict.fromkeys([*said, *(sentence for each in drafts for sentence in each)]))
    if not every:
        return [0.0] * len(texts)
    rows = dict(zip(every, embedder.embed(every), strict=True))

    def matrix(sentences: Sequence[str]) -> Floats:
        return np.stack([rows[sentence] for sentence in sentences])

    vectors = [matrix(each) if each else None for each in drafts]
    evidence = matrix(said) if said else None
    return [
        0.0 if own is None else _agreement(own, [*vectors[:at], *vectors[at + 1 :]], evidence)
        for at, own in enumerate(vectors)
    ]


def _agreement(own: Floats, others: Sequence[Floats | None], evidence: Floats | None) -> float:
    """Mean of the nearness to the other drafts and to the evidence, as far as there are any."""
    among = [0.0 if other is None else _nearness(own, other) for other in others]
    parts = [float(np.mean(among))] if among else []
    if evidence is not None:
        parts.append(_nearness(own, evidence))
    return float(np.mean(parts)) if parts else 0.0


def _nearness(own: Floats, other: Floats) -> float:
    """Mean over the sentences of the largest cosine."""
    return float((own @ other.T).max(axis=1).mean())


def _sentences(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE.split(text) if any(map(str.isalpha, part))]


async def _whole(chat: ChatModel, request: ChatRequest) -> list[Completion]:
    async with aclosing(chat.stream(request)) as pieces:
        return [piece async for piece in pieces if isinstance(piece, Completion)]
