"""Following: whether a sentence says no more than a stretch of evidence does, by rules.

There is no model in it. A sentence follows when nearly all its words are in the evidence, near each
other and in the same roles, and when nothing in it denies, widens, explains or turns what the
evidence says. Every rule can only refuse, so what they do not know is refused as well: most
sentences that say the same in quite other words are.

Does not know: where evidence comes from, what meaning is nearest (`grounding.py` asks an embedder).
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from llm_engineering.application.rag.english import DIRECTIONS, MILD
from llm_engineering.application.rag.reading import Reader, Statement, Word

_WEIGHTS = {"content": 1.0, "name": 1.2, "number": 1.2, "light": 0.3, "function": 0.0}
_LEAST_WEIGHT = 2.0
"""Evidence must hold words of so much weight: less is a topic, not a statement."""
_CLAUSE_WEIGHT = 1.5
"""A clause of so much must be covered by itself."""
_NEAR = 5
"""Words between two that belong together."""
_DOUBTED = 2
"""Words of a claim that only stand in a doubtful clause: one may be there by chance."""
_SPEAKS_OF_IT = 2
"""Words in common with the claim, from which a sentence's reasons and reach count for it."""
_ADDABLE = MILD | {"hedge", "approximately", "if", "while", "condition"}
"""With these a sentence says less, or hardly more."""


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


@dataclass(frozen=True, slots=True)
class _Pair:
    """The sentence and the evidence, with where each word of the one stands in the other."""

    claim: tuple[Word, ...]
    evidence: tuple[Word, ...]
    places: tuple[tuple[int, ...], ...]
    """For each word of the claim."""
    context: tuple[bool, ...]
    """For each word of the claim: not in the evidence, but in the question or above it."""


def following(
    claim: Statement,
    evidence: Sequence[Statement],
    *,
    reader: Reader,
    context: Collection[str] = (),
) -> Following:
    """`evidence` are sentences that stand together; `context` the keys of what they and the claim
    are about, which claim nothing when repeated."""
    pair = _paired(claim, evidence, reader=reader, context=context)
    coverage, clause = _coverage(pair)
    found = _Rules(claim, evidence, pair, reader)
    return Following(coverage, clause, _ordered(pair), tuple(found.objections()))


def _paired(
    claim: Statement, evidence: Sequence[Statement], *, reader: Reader, context: Collection[str]
) -> _Pair:
    words = tuple(word for each in evidence for word in each.words)
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
    return _Pair(claim.words, words, found, repeated)


def _coverage(pair: _Pair) -> tuple[float, float]:
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


def _ordered(pair: _Pair) -> float:
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


@dataclass(frozen=True, slots=True)
class _Rules:
    claim: Statement
    evidence: Sequence[Statement]
    pair: _Pair
    reader: Reader

    def objections(self) -> Iterator[str]:
        yield from self._missing()
        yield from self._turned()
        yield from self._markers()
        yield from self._swapped()
        yield from self._turned_around()

    def _missing(self) -> Iterator[str]:
        """Numbers with what they count, and names, must all be there."""
        for word, at, repeated in self._words():
            if word.kind == "number":
                if not any(self._counts_the_same(word, place) for place in at):
                    yield f"number {word.text}"
            elif word.kind == "name" and not at and not repeated:
                yield f"name {word.text}"

    def _turned(self) -> Iterator[str]:
        """Said where the evidence denies it, or the contrary of what it says."""
        held = {word.key for word in self.pair.evidence}
        for word, at, _ in self._words():
            if word.kind == "light":
                continue
            if at and all(self.pair.evidence[place].denied != word.denied for place in at):
                yield f"denied {word.text}"
            if not at and self.reader.opposed(word.key) & held:
                yield f"opposed {word.text}"

    def _markers(self) -> Iterator[str]:
        """Reasons, opinions, reach and sequence that the evidence does not give."""
        given = self._given()
        for added in sorted(self.claim.markers - given - _ADDABLE):
            yield f"added {added}"
        if "approximately" in given - self.claim.markers and any(
            word.kind == "number" for word in self.claim.words
        ):
            yield "dropped approximately"
        yield from self._dropped()

    def _given(self) -> frozenset[str]:
        """Markers of the evidence's sentences that speak of what the claim speaks of."""
        keys = {
            alike
            for word in self.claim.words
            if word.kind not in ("light", "function")
            for alike in self.reader.alike(word.key)
        }
        return frozenset().union(
            *(
                each.markers
                for each in self.evidence
                if len({word.key for word in each.words} & keys) >= _SPEAKS_OF_IT
            )
        )

    def _dropped(self) -> Iterator[str]:
        """Said plainly where the evidence doubts it, or says it under a condition."""
        for flag in ("hedged", "conditioned"):
            if flag == "conditioned" and self.claim.markers & {"condition", "if"}:
                continue
            plain = [
                word.text
                for word, at, _ in self._words()
                if at and word.kind not in ("light", "function") and not getattr(word, flag)
                if all(getattr(self.pair.evidence[place], flag) for place in at)
            ]
            if len(plain) >= _DOUBTED:
                yield f"not {flag} {plain[0]}"

    def _swapped(self) -> Iterator[str]:
        """Numbers, names and contraries in another order, or beside other words."""
        firm = [
            (number, word, at)
            for number, (word, at, _) in enumerate(self._words())
            if at and (word.kind in ("number", "name") or self._contrary_is_there(word))
        ]
        for (_, one, before), (_, other, after) in combinations(firm, 2):
            if one.key == other.key:
                continue
            contraries = other.key in self.reader.opposed(one.key)
            if (contraries or one.clause == other.clause) and before[0] > after[-1]:
                yield f"order {one.text} {other.text}"
        for number, word, at in firm:
            if word.kind == "name":
                continue
            for near in self._neighbours(number):
                if not any(abs(a - b) <= _NEAR for a in at for b in self.pair.places[near]):
                    yield f"beside {word.text} {self.pair.claim[near].text}"

    def _turned_around(self) -> Iterator[str]:
        """From one to the other, where the evidence has it from the other to the one."""
        for number, word in enumerate(self.claim.words):
            if word.text not in DIRECTIONS:
                continue
            sides = self._neighbours(number)
            if len(sides) == 2:
                before, after = (self.pair.places[side] for side in sides)
                if before[0] > after[-1]:
                    yield f"turned around {word.text}"

    def _words(self) -> Iterator[tuple[Word, tuple[int, ...], bool]]:
        return zip(self.pair.claim, self.pair.places, self.pair.context, strict=True)

    def _contrary_is_there(self, word: Word) -> bool:
        contraries = self.reader.opposed(word.key)
        return bool(contraries) and any(w.key in contraries for w in self.pair.evidence)

    def _neighbours(self, number: int) -> list[int]:
        """The nearest covered content words of the same clause, one on each side."""
        claim = self.pair.claim
        clause = claim[number].clause

        def nearest(order: Sequence[int]) -> list[int]:
            near = [
                at
                for at in order
                if claim[at].clause == clause
                and claim[at].kind not in ("light", "function")
                and self.pair.places[at]
            ]
            return near[:1]

        return nearest(range(number - 1, -1, -1)) + nearest(range(number + 1, len(claim)))

    def _counts_the_same(self, word: Word, place: int) -> bool:
        """Whether the number at `place` counts what `word` does, as far as the claim says what."""
        other = self.pair.evidence[place]
        if other.kind != "number":
            return False
        if word.unit or other.unit:
            return _unit(word, self.claim.words) == _unit(other, self.pair.evidence)
        return True


def _unit(word: Word, among: Sequence[Word]) -> str:
    """Attached, or the word behind it."""
    if word.unit:
        return word.unit
    at = next(n for n, each in enumerate(among) if each is word) + 1
    return among[at].text if at < len(among) else ""
