"""Pairs to tune an embedder with: what the author wrote over a passage, and the passage.

An anchor is a document's title, a heading, or the first statement of a passage. It is taken out of
its passage, so that it is matched by meaning and not by being repeated; an anchor that several
documents share belongs to none. Documents are held out as a whole, near-duplicate ones together.

Does not know: how an embedder is trained, or whether the training helped.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.application.chunk import ChunkRule
from llm_engineering.application.near_duplicates import link_duplicates, signature
from llm_engineering.domain.chunks import Chunk
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.jobs import TrainingRule, TuneEmbedderJob, TuningPair
from llm_engineering.domain.vectors import Floats
from llm_engineering.ports.models import Embedder

MIN_LETTERS = 40
"""A passage with less left beside its anchor says too little to be found."""
TOO_NEAR = 0.95
"""A passage with more than this part of the right one's score may be right as well (NV-Retriever,
arXiv 2407.15831), and so may one with this cosine to the right one."""

Positions = NDArray[np.intp]

_ANCHORS_AT_ONCE = 512
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


class TuneEmbedderConfig(BaseModel):
    """How an embedder is tuned on the author's corpus (configs/tune_embedder.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chunk: ChunkRule = ChunkRule()
    held_out_share: float = Field(default=0.2, gt=0, lt=1)
    """Part of the documents that is only measured on."""
    min_held_out: int = Field(default=20, ge=2)
    """Fewer held-out documents with pairs than this prove nothing; such a corpus is refused."""
    negatives: int = Field(default=1, ge=0)
    """Hard negatives of each training pair."""
    training: TrainingRule = TrainingRule()


def tuning_job(
    documents: Sequence[Sequence[Chunk]],
    *,
    config: TuneEmbedderConfig,
    embedder: Embedder,
    base: str,
    output: Path,
) -> TuneEmbedderJob:
    """The job that tunes `base` on the chunks of each document; `embedder` finds hard negatives.

    The same documents give the same job, whatever their order. Raises InvalidInput when there
    are too few documents to hold out, or too few to train on.
    """
    ordered = sorted((chunks for chunks in documents if chunks), key=lambda c: c[0].document.id)
    held_out = held_out_documents(ordered, share=config.held_out_share)
    passages = distinct_passages(ordered)
    pairs = pairs_of(passages)
    kept = [pair for pair in pairs if pair.document in held_out]
    _refuse_too_few(kept, config, what="held-out", share=config.held_out_share)
    train = with_hard_negatives(
        [pair for pair in pairs if pair.document not in held_out],
        passages=passages,
        among=[i for i, p in enumerate(passages) if p.document.id not in held_out],
        count=config.negatives,
        embedder=embedder,
    )
    _refuse_too_few(train, config, what="training", share=1 - config.held_out_share)
    return TuneEmbedderJob(
        base=base,
        output=output,
        passages=tuple(passage.text for passage in passages),
        train=tuple(train),
        held_out=tuple(kept),
        training=config.training,
    )


def held_out_documents(documents: Sequence[Sequence[Chunk]], *, share: float) -> frozenset[str]:
    """Ids of about `share` of the documents, chosen by a hash of the id.

    So a document stays on its side while others come and go. A near-duplicate goes with the
    document that stands for it.
    """
    texts = {chunks[0].document.id: "".join(chunk.text for chunk in chunks) for chunks in documents}
    signatures = {key: signature(text) for key, text in texts.items()}
    stands = link_duplicates(texts, texts=texts, signatures=signatures)
    return frozenset(key for key in texts if _fraction(stands.get(key, key)) < share)


def distinct_passages(documents: Sequence[Sequence[Chunk]]) -> list[Chunk]:
    """All chunks in order without the near-duplicates of earlier ones: they would be right too."""
    chunks = {chunk.id: chunk for document in documents for chunk in document}
    texts = {key: chunk.text for key, chunk in chunks.items()}
    signatures = {key: signature(text) for key, text in texts.items()}
    repeated = link_duplicates(texts, texts=texts, signatures=signatures)
    return [chunk for key, chunk in chunks.items() if key not in repeated]


def pairs_of(passages: Sequence[Chunk]) -> list[TuningPair]:
    """Every anchor with the first passage of its document that it belongs to.

    Passages of one document stand together. Without the anchor at least MIN_LETTERS letters or
    digits are left.
    """
    found: dict[tuple[str, str], TuningPair] = {}
    for position, passage in enumerate(passages):
        document = passage.document.id
        for anchor, text in _anchored(passage):
            key = (document, anchor.casefold())
            if key not in found and sum(map(str.isalnum, text)) >= MIN_LETTERS:
                found[key] = TuningPair(
                    document=document, anchor=anchor, text=text, passage=position
                )
    owners = Counter(anchor for _, anchor in found)
    return [pair for (_, anchor), pair in found.items() if owners[anchor] == 1]


def with_hard_negatives(
    pairs: Sequence[TuningPair],
    *,
    passages: Sequence[Chunk],
    among: Sequence[int],
    count: int,
    embedder: Embedder,
) -> list[TuningPair]:
    """The pairs, each with the `count` passages nearest to its anchor that are not meant by it.

    `among` holds the positions that may be chosen and includes those of the right passages. What
    is of the same document, or TOO_NEAR, is passed over; a pair with fewer left is left out.
    """
    if not count or not pairs:
        return list(pairs)
    vectors = embedder.embed([passages[position].text for position in among])
    numbers: dict[str, int] = {}
    owners = np.array([numbers.setdefault(passages[i].document.id, len(numbers)) for i in among])
    row_of = {position: row for row, position in enumerate(among)}
    chosen: list[TuningPair] = []
    for start in range(0, len(pairs), _ANCHORS_AT_ONCE):
        batch = pairs[start : start + _ANCHORS_AT_ONCE]
        right = np.array([row_of[pair.passage] for pair in batch])
        anchors = embedder.embed([pair.anchor for pair in batch])
        scores = _eligible(anchors, vectors, right=right, owners=owners)
        for pair, row in zip(batch, scores, strict=True):
            best = np.argsort(-row, kind="stable")[:count]
            if len(best) == count and np.isfinite(row[best[-1]]):
                negatives = tuple(among[column] for column in best)
                chosen.append(pair.model_copy(update={"negatives": negatives}))
    return chosen


def _eligible(anchors: Floats, vectors: Floats, *, right: Positions, owners: Positions) -> Floats:
    """(anchors, passages) cosines; minus infinity where a passage may be right as well."""
    scores: Floats = anchors @ vectors.T
    of_right = np.take_along_axis(scores, right[:, None], axis=1)
    barred = owners[right][:, None] == owners[None, :]
    barred |= scores > np.minimum(of_right, of_right * TOO_NEAR)
    barred |= vectors[right] @ vectors.T > TOO_NEAR
    scores[barred] = -np.inf
    return scores


def _anchored(passage: Chunk) -> Iterator[tuple[str, str]]:
    """Each anchor of a passage, and what the passage is without it."""
    for line in dict.fromkeys((passage.document.title, *passage.heading_path[-1:])):
        anchor = " ".join(line.split())
        if anchor:
            yield anchor, _without_heading(passage.text, anchor)
    if passage.statements:
        start, end = (at - passage.start for at in passage.statements[0])
        anchor = " ".join(_LINK.sub(r"\1", passage.text[start:end]).split())
        if anchor:
            yield anchor, f"{passage.text[:start]}{passage.text[end:]}".strip()


def _without_heading(text: str, heading: str) -> str:
    lines = text.split("\n")
    return "\n".join(line for line in lines if line.strip(" \t#") != heading).strip()


def _fraction(key: str) -> float:
    """In [0, 1), evenly spread, always the same for the same key."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / (1 << 48)


def _refuse_too_few(
    pairs: Sequence[TuningPair], config: TuneEmbedderConfig, *, what: str, share: float
) -> None:
    found = len({pair.document for pair in pairs})
    if found < config.min_held_out:
        raise InvalidInput(
            f"too little writing to tune an embedder: {found} {what} documents have pairs, "
            f"{config.min_held_out} are needed (about {ceil(config.min_held_out / share)} "
            "documents in all); collect more with 'twin run etl'"
        )
