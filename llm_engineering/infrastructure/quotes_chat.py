"""A chat model that only quotes: the passages' best supporting sentences, verbatim and cited.

No generation, so nothing can be invented; it needs the embedder and nothing else.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from llm_engineering.domain.chat import (
    Capabilities,
    ChatRequest,
    Citation,
    Completion,
    Delta,
    Passage,
    Usage,
)
from llm_engineering.domain.errors import NotFound
from llm_engineering.ports.models import Embedder, SparseEncoder

_MAX_QUOTES = 3
_MAX_SENTENCES = 64
"""Sentences scored per question; passages come best first."""
_KEEP_SHARE = 0.8
"""A further sentence must score at least this share of the best one."""
_AHEAD = 1.0
"""Score by which a newer view of the author goes before the best sentence."""
_MIN_SCORE = 0.3
"""Below this no sentence says anything about the question."""

_LINK_TARGET = re.compile(r"(?<=\])\([^)]*\)|https?://\S+")
"""Addresses are no words of the sentence."""
_DRAWN = re.compile(r"!\[|<[a-z!/][^<>]*>", re.IGNORECASE)
"""An image or HTML, which whoever reads the answer would fetch and draw instead of read."""
_CODE = re.compile(r"`[^`\n]*`")


@dataclass(frozen=True, slots=True)
class _Quote:
    passage: Passage
    start: int
    end: int
    heading_path: tuple[str, ...]
    score: float = 0.0

    @property
    def text(self) -> str:
        return self.passage.quote(self.start, self.end)


class QuotesChat:
    """Extractive `ChatModel`. Safe to use from threads when its embedder is."""

    def __init__(self, *, embedder: Embedder, sparse: SparseEncoder) -> None:
        self._embedder = embedder
        self._sparse = sparse

    @property
    def name(self) -> str:
        return "quotes"

    @property
    def generates(self) -> bool:
        return False

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(seed=True)

    def models(self) -> tuple[str, ...]:
        return (self.name,)

    def count_tokens(self, text: str) -> int:
        """The embedder's tokens: there is no other model to fill."""
        return len(self._embedder.token_spans([text])[0])

    def complete(self, request: ChatRequest) -> Completion:
        """Up to three quotations, best first, that fit `max_tokens`; the first is always given.

        Abstains when no sentence is near the question. Raises NotFound for another model.
        """
        if request.model not in ("", self.name):
            raise NotFound(f"no model {request.model[:80]!r} but {self.name!r}")
        sentences = self._scored(request)
        best = max((sentence.score for sentence in sentences), default=0.0)
        if best < _MIN_SCORE:
            return Completion(text="", abstained=True)
        chosen = sorted(sentences, key=lambda s: -s.score)[:_MAX_QUOTES]
        kept = _newer_first([s for s in chosen if s.score >= _KEEP_SHARE * best], request)
        quotes = _joined(kept)
        lines = [f"“{quote.text}” [{number}]" for number, quote in enumerate(quotes, start=1)]
        lengths = [self.count_tokens(line) for line in lines]
        given = max(
            sum(sum(lengths[:n]) <= request.max_tokens for n in range(1, len(lines) + 1)), 1
        )
        return Completion(
            model=self.name,
            text="\n\n".join(lines[:given]),
            citations=tuple(_cite(quote) for quote in quotes[:given]),
            usage=Usage(
                prompt_tokens=sum(passage.tokens for passage in request.passages),
                completion_tokens=sum(lengths[:given]),
            ),
        )

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Completion, None]:
        """A quotation at a time: they are all there at once."""
        completion = await asyncio.to_thread(self.complete, request)
        for number, quote in enumerate(completion.text.split("\n\n") if completion.text else ()):
            yield Delta(f"\n\n{quote}" if number else quote)
        yield completion

    def _scored(self, request: ChatRequest) -> list[_Quote]:
        sentences = [
            _Quote(passage, sentence.start, sentence.end, sentence.heading_path)
            for passage in request.passages
            for sentence in passage.sentences
            if not _DRAWN.search(_CODE.sub("", passage.quote(sentence.start, sentence.end)))
        ][:_MAX_SENTENCES]
        if not sentences:
            return []
        texts = [_in_context(sentence) for sentence in sentences]
        vectors = self._embedder.embed([request.question, *texts])
        cosines = np.maximum(vectors[1:] @ vectors[0], 0.0)
        terms = set(self._sparse.query(request.question).indices.tolist())
        languages = [sentence.passage.document.language for sentence in sentences]
        held = self._sparse.count(texts, languages=languages).rows()
        return [
            replace(sentence, score=0.7 * float(cosine) + 0.3 * _share(terms, found.tolist()))
            for sentence, cosine, (found, _) in zip(sentences, cosines, held, strict=True)
        ]


def _in_context(quote: _Quote) -> str:
    """The sentence below its heading, without link targets: 'It burns.' alone is about nothing."""
    heading = (quote.passage.document.title, *quote.heading_path)[-1]
    return f"{heading}\n{_LINK_TARGET.sub('', quote.text)}"


def _share(terms: set[int], held: Sequence[int]) -> float:
    """Part of the question's terms that a sentence holds."""
    return len(terms.intersection(held)) / (len(terms) or 1)


def _newer_first(sentences: list[_Quote], request: ChatRequest) -> list[_Quote]:
    """What the author no longer thinks comes after what they think now, which comes with it."""
    for change in request.changes:
        old = next((s for s in sentences if _is(s, change.before)), None)
        if old is None:
            continue
        new = next(
            (
                _Quote(passage, sentence.start, sentence.end, sentence.heading_path)
                for passage in request.passages
                for sentence in passage.sentences
                if passage.document.id == change.after.document_id
                and sentence.start == change.after.start
            ),
            None,
        )
        if new is not None:
            rest = [s for s in sentences if s is not old and not _is(s, change.after)]
            first = replace(new, score=max(s.score for s in sentences) + _AHEAD)
            sentences = [first, replace(old, score=first.score - _AHEAD / 2), *rest]
    return sentences[: _MAX_QUOTES + 1]


def _is(quote: _Quote, cited: Citation) -> bool:
    return quote.passage.document.id == cited.document_id and quote.start == cited.start


def _joined(sentences: list[_Quote]) -> list[_Quote]:
    """Sentences that follow each other become one quotation; order stays best first."""
    runs: list[_Quote] = []
    for sentence in sorted(sentences, key=lambda s: (s.passage.document.id, s.start)):
        last = runs[-1] if runs else None
        if (
            last is not None
            and last.passage is sentence.passage
            and not last.passage.quote(last.end, sentence.start).strip()
        ):
            runs[-1] = replace(last, end=sentence.end, score=max(last.score, sentence.score))
        else:
            runs.append(sentence)
    return sorted(runs, key=lambda s: -s.score)


def _cite(sentence: _Quote) -> Citation:
    return Citation.of(
        sentence.passage.document,
        start=sentence.start,
        end=sentence.end,
        quote=sentence.text,
        heading_path=sentence.heading_path,
    )
