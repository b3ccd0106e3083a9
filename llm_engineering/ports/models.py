"""Models: what turns text into vectors, and evidence into answers."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.chat import Capabilities, ChatRequest, Completion, Delta
from llm_engineering.domain.vectors import SparseVector, TermCounts


class Embedder(Protocol):
    """Dense sentence vectors. Safe to use from threads."""

    @property
    def name(self) -> str:
        """Identifies the weights; stored in the index manifest."""
        ...

    @property
    def dimension(self) -> int: ...

    @property
    def window(self) -> int:
        """Longest text in tokens that is embedded whole, special tokens not counted."""
        ...

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Per text, the [start, end) character span of each token, special tokens left out.

        Starts and ends ascend; a character that is several tokens (a Hangul syllable) is the
        span of each of them.
        """
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(len(texts), dimension), rows of unit length, in the order given."""
        ...


class SparseEncoder(Protocol):
    """Sparse lexical vectors. Stateless: corpus statistics are the index's."""

    @property
    def name(self) -> str: ...

    def count(self, texts: Sequence[str], *, languages: Sequence[str | None]) -> TermCounts:
        """The terms of each text; what a text consists of is the sum of what its parts do."""
        ...

    def weigh(self, counts: TermCounts, *, sentences: int) -> list[SparseVector]:
        """Term weights without IDF (the index multiplies by its own), of texts that are usually
        `sentences` sentences long."""
        ...

    def query(self, text: str, *, language: str | None = None) -> SparseVector:
        """Weight 1 per distinct term; empty when only stop words are left."""
        ...


class Reranker(Protocol):
    """Reads question and passage together, as no encoder does. Safe to use from threads."""

    @property
    def name(self) -> str: ...

    def score(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """(len(passages),), higher is better; comparable within one call only."""
        ...


@dataclass(frozen=True, slots=True)
class Judged:
    """What a model says of one statement given another: probabilities that sum to one."""

    entailment: float
    neutral: float
    contradiction: float


class EntailmentModel(Protocol):
    """Says whether one text follows from another. Safe to use from threads."""

    @property
    def name(self) -> str: ...

    def judge(self, pairs: Sequence[tuple[str, str]]) -> list[Judged]:
        """For each (evidence, statement), in order."""
        ...


class ChatModel(Protocol):
    """An engine that answers requests. Safe to use from threads."""

    @property
    def name(self) -> str:
        """The engine's own, or that of the model it has when there is one only."""
        ...

    @property
    def generates(self) -> bool:
        """Whether it follows `messages` with words of its own; an extractive one only quotes."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    def models(self) -> tuple[str, ...]:
        """Names that `ChatRequest.model` may take, the one in production first."""
        ...

    def count_tokens(self, text: str) -> int:
        """Length of `text` in this model's tokens; context budgets are in these."""
        ...

    def complete(self, request: ChatRequest) -> Completion:
        """The whole answer. Raises NotFound for a model that it does not have, BackendUnavailable
        when the engine does not answer or fails."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Completion, None]:
        """The answer as it comes; the last item is the Completion, whose text is all of it.

        Closing the iterator, or cancelling who reads it, ends the work: nothing more is generated.
        Raises as `complete` does, at any point.
        """
        ...
