"""Objections: why a sentence does not follow from evidence that holds its words.

Every rule can only refuse. Does not know: how many of its words must be there (`following.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from llm_engineering.application.rag.english import CURRENCIES, DIRECTIONS, MILD
from llm_engineering.application.rag.reading import Reader, Statement, Word
from llm_engineering.application.rag.roles import Pair, is_solid, roles

_NEAR = 5
"""Words between two that belong together."""
_DOUBTED = 2
"""Words of a claim that only stand in a doubtful clause: one may be there by chance."""
_SPEAKS_OF_IT = 2
"""Words in common with the claim, from which a sentence's reasons and reach count for it."""
_SEQUENCE = frozenset(("before", "after", "first", "last"))
"""A claim with one of these says what comes when, so that all of its order counts."""
_ADDABLE = MILD | {"hedge", "approximately", "if", "while", "condition"}
"""With these a sentence says less, or hardly more."""


@dataclass(frozen=True, slots=True)
class Rules:
    """All of them, for one sentence and one stretch of evidence."""

    claim: Statement
    evidence: Sequence[Statement]
    pair: Pair
    reader: Reader

    def objections(self) -> Iterator[str]:
        yield from self._missing()
        yield from self._turned()
        yield from self._markers()
        yield from self._swapped()
        yield from self._turned_around()
        yield from self._replaced()
        yield from roles(self.pair)

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
        in_turn = bool(self.claim.markers & _SEQUENCE)
        for (_, one, before), (_, other, after) in combinations(firm, 2):
            if one.key == other.key:
                continue
            tied = in_turn or one.clause == other.clause
            if (tied or other.key in self.reader.opposed(one.key)) and before[0] > after[-1]:
                yield f"order {one.text} {other.text}"
        for number, word, at in firm:
            if word.kind == "name":
                continue
            for near in self._neighbours(number):
                if not any(abs(a - b) <= _NEAR for a in at for b in self.pair.places[near]):
                    yield f"beside {word.text} {self.pair.claim[near].text}"

    def _replaced(self) -> Iterator[str]:
        """A word of its own where the evidence has another between the same ones, or beside the
        same one at the edge of a clause."""
        matched = {place for at in self.pair.places for place in at}
        solid = [n for n, word in enumerate(self.pair.evidence) if is_solid(word)]
        for number, (word, at, repeated) in enumerate(self._words()):
            if at or repeated or not is_solid(word):
                continue
            left, right = self._beside(number)
            for slot, place in enumerate(solid):
                if place in matched:
                    continue
                other = self.pair.evidence[place]
                before = solid[slot - 1] if slot else None
                behind = solid[slot + 1] if slot + 1 < len(solid) else None
                if self._fits(before, other, left) and self._fits(behind, other, right):
                    yield f"{word.text} in place of {other.text}"

    def _fits(self, place: int | None, other: Word, neighbour: tuple[int, ...] | None) -> bool:
        """Whether what stands at `place` beside `other` stands beside the claim's word as well;
        () is the edge of a clause, None what the evidence has not."""
        if neighbour is None:
            return False
        if neighbour:
            return place in neighbour
        return place is None or self.pair.evidence[place].clause != other.clause

    def _beside(self, number: int) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
        """Where the words right before and right behind stand in the evidence; () at the edge of
        the clause, None for a word that is not there."""
        claim = self.pair.claim
        clause = claim[number].clause
        solid = [n for n, w in enumerate(claim) if is_solid(w) and w.clause == clause]
        at = solid.index(number)
        if len(solid) == 1:
            return None, None
        before = (self.pair.places[solid[at - 1]] or None) if at else ()
        behind = (self.pair.places[solid[at + 1]] or None) if at + 1 < len(solid) else ()
        return before, behind

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
        one = _counted(word, self.claim.words)
        two = _counted(other, self.pair.evidence)
        return not one or not two or two in self.reader.alike(one)


def _unit(word: Word, among: Sequence[Word]) -> str:
    """Attached, or the word behind it."""
    if word.unit:
        return word.unit
    behind = _behind(word, among)
    return CURRENCIES.get(behind.text, behind.text) if behind else ""


def _counted(word: Word, among: Sequence[Word]) -> str:
    """The key of the thing that a number counts, where it stands right behind it."""
    behind = _behind(word, among)
    if not word.text[:1].isdigit() and word.key.endswith(("x", "s")):
        return ""  # 'twice the disk space', 'hundreds of lines'
    if behind is None or behind.clause != word.clause or behind.kind in ("number", "function"):
        return ""
    return behind.key


def _behind(word: Word, among: Sequence[Word]) -> Word | None:
    at = next(n for n, each in enumerate(among) if each is word) + 1
    return among[at] if at < len(among) else None
