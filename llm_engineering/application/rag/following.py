"""Following: whether a sentence says no more than a stretch of evidence does, by rules.

There is no model in it. A sentence follows when nearly all its words are in the evidence, near each
other and in the same roles, and when nothing in it denies, widens, explains or turns what the
evidence says. Every rule can only refuse, so what they do not know is refused as well: most
sentences that say the same in quite other words are.

Does not know: where evidence comes from, what meaning is nearest (`grounding.py` asks an embedder).
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from llm_engineering.application.rag.leaving_out import left_out
from llm_engineering.application.rag.objections import Rules
from llm_engineering.application.rag.reading import Reader, Statement
from llm_engineering.application.rag.roles import Pair

_WEIGHTS = {"content": 1.0, "name": 1.2, "number": 1.2, "light": 0.3, "function": 0.0}
_LEAST_WEIGHT = 2.0
"""Evidence must hold words of so much weight: less is a topic, not a statement."""
_LONGEST = 120
"""Words of a sentence; a longer one is no sentence, and takes long to compare."""
_CLAUSE_WEIGHT = 1.5
"""A clause of so much must be covered by itself."""


@dataclass(frozen=True, slots=True)
class Following:
    """How far a sentence follows from a stretch of evidence."""

    coverage: float
    """Share of its words' weight that the evidence holds, 0 to 1."""
    clause: float
    """The same of its clause that has the least of it."""
    order: float
    """Share of its covered words, clause by clause, that stand in the evidence's order."""
    objections: tuple[str, ...]
    """Why it does not follow, whatever its words; () when no rule objects."""


def following(
    claim: Statement,
    evidence: Sequence[Statement],
    *,
    reader: Reader,
    context: Collection[str] = (),
) -> Following:
    """`evidence` are sentences that stand together; `context` the keys of what they and the claim
    are about, which claim nothing when repeated."""
    if len(claim.words) > _LONGEST:
        return Following(0.0, 0.0, 0.0, ("long",))
    pair = _paired(claim, evidence, reader=reader, context=context)
    coverage, clause = _coverage(pair)
    found = list(Rules(claim, evidence, pair, reader).objections())
    if not found:
        found += left_out(claim.tokens, [each.tokens for each in evidence], reader=reader)
    return Following(coverage, clause, _ordered(pair), tuple(found))


def _paired(
    claim: Statement, evidence: Sequence[Statement], *, reader: Reader, context: Collection[str]
) -> Pair:
    # Clauses are counted anew in every sentence.
    offsets = accumulate((each.clauses for each in evidence), initial=0)
    words = tuple(
        replace(word, clause=word.clause + offset)
        for each, offset in zip(evidence, offsets, strict=False)
        for word in each.words
    )
    sentences = tuple(at for at, each in enumerate(evidence) for _ in each.words)
    places: dict[str, list[int]] = {}
    for at, word in enumerate(words):
        places.setdefault(word.key, []).append(at)
    found = tuple(
        tuple(sorted(at for key in reader.alike(word.key) for at in places.get(key, ())))
        for word in claim.words
    )
    repeated = tuple(
        not at and word.key in context for word, at in zip(claim.words, found, strict=True)
    )
    return Pair(claim.words, words, sentences, found, repeated)


def _coverage(pair: Pair) -> tuple[float, float]:
    held: dict[int, float] = {}
    whole: dict[int, float] = {}
    for word, at, repeated in zip(pair.claim, pair.places, pair.context, strict=True):
        if repeated:
            continue
        weight = _WEIGHTS[word.kind]
        whole[word.clause] = whole.get(word.clause, 0.0) + weight
        held[word.clause] = held.get(word.clause, 0.0) + (weight if at else 0.0)
    total = sum(whole.values())
    if sum(held.values()) < _LEAST_WEIGHT:
        return 0.0, 0.0
    clauses = [held[n] / whole[n] for n in whole if whole[n] >= _CLAUSE_WEIGHT]
    return sum(held.values()) / total, min(clauses, default=1.0)


def _ordered(pair: Pair) -> float:
    """By the longest run of words that ascend in the evidence, clause by clause."""
    covered = kept = 0
    for clause in {word.clause for word in pair.claim}:
        of = [
            at
            for word, at in zip(pair.claim, pair.places, strict=True)
            if word.clause == clause and at and word.kind not in ("light", "function")
        ]
        covered += len(of)
        kept += _ascending(of)
    return kept / covered if covered else 1.0


def _ascending(places: Sequence[tuple[int, ...]]) -> int:
    """Length of the longest ascending choice of one place for each of some of them."""
    ends: list[int] = []
    for choices in places:
        for place in reversed(choices):
            at = bisect_right(ends, place)
            if at and ends[at - 1] == place:
                continue
            ends[at : at + 1] = [place]
    return len(ends)
