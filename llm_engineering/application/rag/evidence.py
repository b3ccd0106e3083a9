"""Evidence: whether what was found answers the question, 0 to 1.

A logistic regression over four signals, none of which knows the language or the topic. Its weights
were fitted on half of the questions of benchmarks/til-questions.csv, each asked twice: of the
whole corpus, and of the corpus without the note that answers it. The other half, and how it does
there, is in docs/explanation/retrieval.md.

Does not know: where the threshold is (`AnswerConfig.min_evidence`), what the answer will say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp

import numpy as np

from llm_engineering.application.rag.queries import QueryCache
from llm_engineering.domain.vectors import FusedHit, Held
from llm_engineering.ports.models import Embedder

LOOKED_AT = 3
"""Best sentences that are read once more, with those around them."""

_FIRST = 1
"""Of these, read before it is asked whether that will do: the best sentence alone is enough for 97
per cent of the questions of benchmarks/til-questions.csv that are not refused."""

_SPREAD_LEG, _SPREAD_PLACE = "s8", 100
_RAREST = 2


@dataclass(frozen=True, slots=True)
class Signals:
    """What tells an answer from its neighbourhood."""

    nearness: float
    """Largest cosine of the question and one of the best sentences with those around it."""
    spread: float
    """How far the nearest wide window is above the hundredth: a topic that runs through the whole
    corpus has no place that answers."""
    unknown: float
    """Share of the question's terms that nothing indexed holds."""
    rarity: float
    """IDF of its two rarest terms as a share of the largest possible: a vague question finds
    something near everywhere."""


_BIAS = -5.49
_WEIGHTS = Signals(nearness=5.28, spread=8.44, unknown=-6.38, rarity=2.32)


def evidence(signals: Signals) -> float:
    """Probability that the corpus answers, with as many questions that it does not."""
    logit = _BIAS + sum(
        getattr(_WEIGHTS, name) * getattr(signals, name) for name in Signals.__dataclass_fields__
    )
    return 1 / (1 + exp(-logit))


def judged(
    question: str,
    hits: Sequence[FusedHit],
    *,
    texts: Sequence[str],
    held: Held,
    embedder: Embedder,
    cache: QueryCache,
    enough: float = 1.0,
) -> float:
    """The evidence of `signals`, but no more `texts` are read once there is `enough`.

    What is read raises evidence or leaves it as it is. So the result is at least `enough` when
    that of all texts is; when it is less, all were read.
    """
    told = signals(question, hits, texts=texts[:_FIRST], held=held, embedder=embedder, cache=cache)
    if texts[_FIRST:] and evidence(told) < enough:
        further = nearness(question, texts[_FIRST:], embedder=embedder, cache=cache)
        told = replace(told, nearness=max(told.nearness, further))
    return evidence(told)


def signals(
    question: str,
    hits: Sequence[FusedHit],
    *,
    texts: Sequence[str],
    held: Held,
    embedder: Embedder,
    cache: QueryCache,
) -> Signals:
    """`texts` are the best hits with what stands around and above them; `held` tells of the
    question's terms."""
    ranked = {
        rank.rank: rank.score for hit in hits for rank in hit.ranks if rank.leg == _SPREAD_LEG
    }
    places = [place for place in ranked if place <= _SPREAD_PLACE]
    idf = np.sort(held.idf())[-_RAREST:]
    return Signals(
        nearness=nearness(question, texts, embedder=embedder, cache=cache),
        spread=ranked[min(places)] - ranked[max(places)] if places else 0.0,
        unknown=float(np.mean(held.holders == 0)) if len(idf) else 1.0,
        rarity=float(idf.mean() / held.largest_idf()) if len(idf) else 1.0,
    )


def nearness(
    question: str, texts: Sequence[str], *, embedder: Embedder, cache: QueryCache
) -> float:
    """Largest cosine of the question and one of the texts; 0 without any."""
    if not texts:
        return 0.0
    (vector,) = cache.vectors([question], embedder)
    return float((embedder.embed(texts) @ vector).max())
