"""Grounding: every sentence of an answer labelled said, supported or unsupported.

*Said* is what stands in the author's writing, *supported* is what follows from it by the rules of
`following.py` or by an entailment model where one is configured, and the rest is *unsupported*:
what is contradicted, what is only partly there, what is added, and what the rules cannot tell.

Does not know: what is done with an answer of which too little is backed (`standing.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.application.markdown import blocks
from llm_engineering.application.rag.claims import claims
from llm_engineering.application.rag.following import Following, following
from llm_engineering.application.rag.reading import Reader, Statement, reader_of
from llm_engineering.application.rag.tokens import bare, uncited
from llm_engineering.application.rag.verbatim import Verbatim
from llm_engineering.application.units import block_parts
from llm_engineering.domain.chat import (
    CheckedSentence,
    Citation,
    Grounding,
    Passage,
    Verdict,
)
from llm_engineering.domain.chunks import Span
from llm_engineering.ports.models import Embedder, EntailmentModel, SparseEncoder

_WINDOW = 3
"""Neighbouring sentences of a passage that a claim may take together, at most."""
_CANDIDATES = 8
"""Windows that share the most words with a claim, of which each is compared."""
_LONGEST = 1_500
"""Characters of a sentence of the evidence; a longer one was not cut where it ends."""
_READ_BY_MODEL = 4
"""Of these, those that an entailment model reads."""


class GroundingConfig(BaseModel):
    """How strictly answers are held to their evidence (configs/rag.yaml, `grounding`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_share: float = Field(default=0.0, ge=0, le=1)
    """Below this share of sentences that are said or supported, the author's own sentences take
    the place of what the model said; 0 never replaces anything."""
    stream: Literal["live", "checked"] = "live"
    """`live`: a streamed answer is shown as it comes, and withdrawn when the check fails;
    `checked`: nothing of it is shown before the check."""
    min_coverage: float = Field(default=0.75, ge=0, le=1)
    """Share of a sentence's words, by weight, that its evidence must hold."""
    min_clause: float = Field(default=0.65, ge=0, le=1)
    """The same of each of its clauses."""
    min_order: float = Field(default=0.75, ge=0, le=1)
    """Share of them that must stand in the evidence's order."""
    min_nearness: float = Field(default=0.5, ge=0, le=1)
    """Cosine of the sentence and its evidence, as the embedder has it."""
    min_entailment: float = Field(default=0.8, ge=0, le=1)
    """Probability that an entailment model must give; only where one is configured."""


@dataclass(frozen=True, slots=True)
class _Window:
    """Sentences of one passage that follow each other."""

    passage: Passage
    span: Span
    statements: tuple[Statement, ...]
    keys: frozenset[str]

    @property
    def text(self) -> str:
        return self.passage.quote(*self.span)

    def cited(self) -> Citation:
        quote = self.text
        start = self.span[0] + len(quote) - len(quote.lstrip())
        quote = quote.strip()
        return Citation.of(
            self.passage.document,
            start=start,
            end=start + len(quote),
            quote=quote,
            heading_path=self.passage.heading_path,
        )


@dataclass(frozen=True, slots=True)
class Grounder:
    """Labels answers. Safe to use from threads."""

    config: GroundingConfig
    sparse: SparseEncoder
    embedder: Embedder
    entailment: EntailmentModel | None = None

    @property
    def _reader(self) -> Reader:
        return reader_of(self.sparse)

    def check(self, text: str, passages: Sequence[Passage]) -> Grounding:
        """The sentences of `text` that claim something, against all of the passages.

        Blocking: some 20 ms for an answer of 8 sentences, and one call of the embedder or of the
        entailment model where a sentence is not the author's own. Raises what these raise.
        """
        text = text.encode("utf-8", "replace").decode()  # half of a surrogate pair is one character
        spans = claims(text)
        sources = Verbatim.of(passages, sparse=self.sparse).sources(text, spans)
        open_ = [at for at, source in enumerate(sources) if source is None]
        found = self._backed([uncited(text[slice(*spans[at])]) for at in open_], passages)
        backed = dict(zip(open_, found, strict=True))
        sentences = []
        for at, (start, end) in enumerate(spans):
            verdict, source = Verdict.SAID, sources[at]
            if source is None:
                source = backed[at]
                verdict = Verdict.SUPPORTED if source else Verdict.UNSUPPORTED
            sentences.append(CheckedSentence(start=start, end=end, verdict=verdict, source=source))
        held = sum(each.verdict is not Verdict.UNSUPPORTED for each in sentences)
        return Grounding(
            sentences=tuple(sentences), share=held / len(sentences) if sentences else 1.0
        )

    def _backed(
        self, sentences: Sequence[str], passages: Sequence[Passage]
    ) -> list[Citation | None]:
        """For each sentence what it follows from, or None."""
        if not sentences or not passages:
            return [None] * len(sentences)
        windows = self._windows(passages)
        if self.entailment is not None:
            return self._entailed(sentences, windows, self.entailment)
        followed = {each: self._followed(each, windows) for each in dict.fromkeys(sentences)}
        chosen = [followed[sentence] for sentence in sentences]
        near = self._near([(s, w.text) for s, w in zip(sentences, chosen, strict=True) if w])
        return [
            window.cited() if window and next(near) >= self.config.min_nearness else None
            for window in chosen
        ]

    def _followed(self, sentence: str, windows: Sequence[_Window]) -> _Window | None:
        """The shortest and best stretch of evidence from which it follows by the rules."""
        claim = self._reader.read(sentence)
        best: tuple[float, _Window] | None = None
        for window in self._likely(claim, windows):
            context = self._keys(
                " ".join((window.passage.document.title, *window.passage.heading_path))
            )
            found = following(claim, window.statements, reader=self._reader, context=context)
            if self._enough(found) and (best is None or found.coverage > best[0]):
                best = found.coverage, window
        return best[1] if best else None

    def _enough(self, found: Following) -> bool:
        config = self.config
        return (
            not found.objections
            and found.coverage >= config.min_coverage
            and found.clause >= config.min_clause
            and found.order >= config.min_order
        )

    def _entailed(
        self, sentences: Sequence[str], windows: Sequence[_Window], model: EntailmentModel
    ) -> list[Citation | None]:
        asked = [
            (sentence, window)
            for sentence in sentences
            for window in self._likely(self._reader.read(sentence), windows)[:_READ_BY_MODEL]
        ]
        given = model.judge([(bare(window.text), bare(sentence)) for sentence, window in asked])
        best: dict[str, tuple[float, _Window]] = {}
        denied: set[str] = set()
        for (sentence, window), judged in zip(asked, given, strict=True):
            if judged.contradiction >= self.config.min_entailment:
                denied.add(sentence)
            if judged.entailment > best.get(sentence, (self.config.min_entailment, window))[0]:
                best[sentence] = judged.entailment, window
        return [
            best[sentence][1].cited() if sentence in best and sentence not in denied else None
            for sentence in sentences
        ]

    def _likely(self, claim: Statement, windows: Sequence[_Window]) -> list[_Window]:
        """Those that share the most words, shorter ones first where they share as many."""
        keys = {
            alike
            for word in claim.words
            if word.kind not in ("light", "function")
            for alike in self._reader.alike(word.key)
        }
        shared = [(len(keys & window.keys), window) for window in windows]
        ranked = nsmallest(
            _CANDIDATES,
            (each for each in shared if each[0]),
            key=lambda each: (-each[0], len(each[1].statements)),
        )
        return [window for _, window in ranked]

    def _near(self, pairs: Sequence[tuple[str, str]]) -> Iterator[float]:
        """The cosine of each pair; all of them in one call."""
        if not pairs:
            return iter(())
        texts = [bare(text) for pair in pairs for text in pair]
        vectors = self.embedder.embed(texts)
        return iter(np.sum(vectors[::2] * vectors[1::2], axis=1).tolist())

    def _windows(self, passages: Sequence[Passage]) -> list[_Window]:
        return [
            _Window(
                passage,
                (passage.start + spans[at][0], passage.start + spans[at + size - 1][1]),
                tuple(read[at : at + size]),
                frozenset(word.key for each in read[at : at + size] for word in each.words),
            )
            for passage in passages
            if passage.document.language in (None, "en") or self.entailment is not None
            for spans in [_sentences(passage)]
            for read in [[self._reader.read(passage.text[a:b]) for a, b in spans]]
            for size in range(1, _WINDOW + 1)
            for at in range(len(spans) - size + 1)
        ]

    def _keys(self, text: str) -> frozenset[str]:
        return frozenset(w.key for w in self._reader.read(text).words if w.kind != "light")


def _sentences(passage: Passage) -> list[Span]:
    """What it states: prose by sentences, code and tables by lines.

    Not what it asks, and not what it quotes from somebody else.
    """
    text = passage.text
    return [
        (start, end)
        for block in blocks(text)
        if block.kind != "quote"
        for start, end in block_parts(text, block, language=passage.document.language)
        if (stated := text[start:end].strip()) and not stated.endswith("?")
        if end - start <= _LONGEST
    ]
