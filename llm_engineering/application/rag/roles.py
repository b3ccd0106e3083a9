"""Roles: whether a sentence tells of the same ones as its evidence, as done as there, in one piece.

Every rule can only refuse. Does not know: numbers, denials, reach (`objections.py`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from llm_engineering.application.rag.english import OTHER_WAY
from llm_engineering.application.rag.reading import Word
from llm_engineering.application.rag.voices import Voice

_MOVED = 2
"""Words of a claim that are told in another mood, or as the author's: one may be so by chance."""
_LESS = frozenset(("can", "some"))
_PERSONS = ("I", "you", "they")


@dataclass(frozen=True, slots=True)
class Pair:
    """The sentence and the evidence, with where each word of the one stands in the other."""

    claim: tuple[Word, ...]
    evidence: tuple[Word, ...]
    """Of all its sentences; each clause has a number of its own."""
    sentences: tuple[int, ...]
    """For each word of the evidence, of which sentence it is."""
    places: tuple[tuple[int, ...], ...]
    """For each word of the claim."""
    context: tuple[bool, ...]
    """For each word of the claim: not in the evidence, but above it."""

    def clauses(self) -> Iterator[list[int]]:
        """The words of each clause of the claim, by their numbers."""
        for clause in dict.fromkeys(word.clause for word in self.claim):
            yield [at for at, word in enumerate(self.claim) if word.clause == clause]

    def home(self, clause: Sequence[int]) -> dict[int, list[int]]:
        """For each of its words, its places in the sentence that has the most of the clause; all
        of its places where that sentence has none."""
        held = Counter(
            sentence
            for number in clause
            if is_solid(self.claim[number])
            for sentence in {self.sentences[place] for place in self.places[number]}
        )
        best = held.most_common(1)[0][0] if held else 0
        return {
            number: [at for at in self.places[number] if self.sentences[at] == best]
            or list(self.places[number])
            for number in clause
        }

    def voices(self, places: Sequence[int]) -> list[Voice]:
        return [self.evidence[place].voice for place in places]


def is_solid(word: Word) -> bool:
    """Names something, rather than join or weaken."""
    return word.kind not in ("light", "function")


def roles(pair: Pair) -> Iterator[str]:
    """What is told otherwise; nothing when all of it is told alike."""
    yield from _fronted(pair)
    for clause in pair.clauses():
        home = pair.home(clause)
        yield from _subject(pair, home)
        yield from _owners(pair, home)
        yield from _by(pair, home)
        yield from _tense(pair, home)
        yield from _moods(pair, clause)
        yield from _joined(pair, clause)
    yield from _bounds(pair)
    yield from _exchanged(pair)
    yield from _reported(pair)
    yield from _added(pair)


def _subject(pair: Pair, home: Mapping[int, Sequence[int]]) -> Iterator[str]:
    """Somebody else does it."""
    for number, places in home.items():
        word = pair.claim[number]
        told = _to_the_same(word.voice, pair.voices(places))
        if not told or word.kind == "function":
            continue
        if word.voice.acts and word.voice.subject in _PERSONS:
            if not any(_same_person(word.voice, voice) for voice in told):
                yield f"{word.voice.subject} {word.text}"
        elif word.voice.subject in ("noun", "it") and is_solid(word):
            acted = all(voice.acts and voice.subject in _PERSONS for voice in told)
            if acted and not _passive(pair, home, number):
                yield f"another {word.text}"


def _to_the_same(claim: Voice, told: Sequence[Voice]) -> Sequence[Voice]:
    """Of several places those with the same object, where there are any."""
    return [each for each in told if claim.object and each.object == claim.object] or told


def _passive(pair: Pair, home: Mapping[int, Sequence[int]], verb: int) -> bool:
    """What stands before it in the claim stands behind it in the evidence."""
    before = [n for n in home if n < verb and is_solid(pair.claim[n]) and home[n]]
    return bool(before) and min(home[before[-1]]) > max(home[verb])


def _same_person(claim: Voice, evidence: Voice) -> bool:
    """'they' may be things and stand for a noun, and 'you' may be an object: 'it lets you use'."""
    if claim.subject != "I":
        return evidence.subject not in _PERSONS or evidence.subject == claim.subject
    return claim.subject == evidence.subject


def _owners(pair: Pair, home: Mapping[int, Sequence[int]]) -> Iterator[str]:
    """Of somebody else, to somebody else, or the other way."""
    for number, places in home.items():
        word, told = pair.claim[number], pair.voices(places)
        for one, others in (
            (word.voice.owner, {voice.owner for voice in told}),
            (word.voice.object, {voice.object for voice in told}),
        ):
            if one in _PERSONS and others and "" not in others and one not in others:
                yield f"{word.text} of {one}"
        ways = {voice.direction for voice in told}
        if is_solid(word) and ways and ways <= OTHER_WAY.get(word.voice.direction, frozenset()):
            yield f"{word.voice.direction} {word.text}"


def _by(pair: Pair, home: Mapping[int, Sequence[int]]) -> Iterator[str]:
    """What calls something is not called by it: the two stand in the same order."""
    told = [n for n, places in home.items() if is_solid(pair.claim[n]) and places]
    for number in told:
        there = home[number][0]
        by_here = pair.claim[number].voice.direction == "by"
        by_there = pair.evidence[there].voice.direction == "by"
        if by_here == by_there:
            continue
        before = [n for n in told if n < number]
        if before and home[before[-1]][-1] < there:
            yield f"by {pair.claim[number].text}"


def _tense(pair: Pair, home: Mapping[int, Sequence[int]]) -> Iterator[str]:
    """What was done is not what is done; told by the ending of a verb."""
    for number, places in home.items():
        word = pair.claim[number]
        if word.kind not in ("content", "light") or word.text.endswith(("ed", "ing")):
            continue
        told = [pair.evidence[place] for place in places]
        if told and all(
            each.text.endswith("ed")
            and ((word.voice.acts and each.voice.acts) or word.text.endswith("s"))
            for each in told
        ):
            yield f"tense {word.text}"


def _moods(pair: Pair, clause: Sequence[int]) -> Iterator[str]:
    """Done, planned, possible, demanded, no longer so, and so of some are not each other."""
    told = [n for n in clause if is_solid(pair.claim[n]) and pair.places[n]]
    moved = [
        pair.claim[n].text
        for n in told
        if not any(_same_mood(pair.claim[n].voice, each) for each in pair.voices(pair.places[n]))
    ]
    if 2 * len(moved) > len(told):
        yield f"mood {moved[0]}"


def _same_mood(claim: Voice, evidence: Voice) -> bool:
    """What does so may do so, and some do what all do; at the same time, where both tell one."""
    if {claim.tense, evidence.tense} == {"past", "present"}:
        return False
    return evidence.moods <= claim.moods <= evidence.moods | _LESS


def _bounds(pair: Pair) -> Iterator[str]:
    """More than ten is not ten."""
    for number, word in enumerate(pair.claim):
        told = pair.voices(pair.places[number])
        if word.kind == "number" and told and all(word.voice.bound != v.bound for v in told):
            yield f"bound of {word.text}"


def _reported(pair: Pair) -> Iterator[str]:
    """Told as so, where the evidence has it as said by somebody."""
    told = [
        word.text
        for number, word in enumerate(pair.claim)
        if is_solid(word) and pair.places[number] and not word.voice.reported
        if all(voice.reported for voice in pair.voices(pair.places[number]))
    ]
    if len(told) >= _MOVED:
        yield f"reported {told[0]}"


def _joined(pair: Pair, clause: Sequence[int]) -> Iterator[str]:
    """Its beginning from one sentence and its end from another."""
    where = [
        {pair.sentences[place] for place in pair.places[number]}
        for number in clause
        if is_solid(pair.claim[number]) and pair.places[number]
    ]
    if where and not set.intersection(*where):
        yield f"joined {pair.claim[clause[0]].text}"


def _fronted(pair: Pair) -> Iterator[str]:
    """What it begins with stands behind all the rest of its clause in the evidence."""
    home = pair.home(next(pair.clauses(), []))
    told = [n for n, places in home.items() if is_solid(pair.claim[n]) and places]
    if len(told) > _MOVED + 1:
        first, *others = told
        if min(home[first]) > max(max(home[n]) for n in others):
            yield f"fronted {pair.claim[first].text}"


def _exchanged(pair: Pair) -> Iterator[str]:
    """Two that went from one clause to another, each to what belongs to the other."""
    told = [n for n, word in enumerate(pair.claim) if is_solid(word) and pair.places[n]]
    apart = [
        (one, other)
        for one, other in combinations(told, 2)
        if pair.claim[one].clause != pair.claim[other].clause
        and pair.claim[one].key != pair.claim[other].key
    ]
    for one, other in apart:
        if _went(pair, told, one, other) and _went(pair, told, other, one):
            yield f"exchanged {pair.claim[one].text} {pair.claim[other].text}"
            return


def _went(pair: Pair, told: Sequence[int], one: int, other: int) -> bool:
    """A word that stands beside `one` belongs to `other`."""
    here, there = _clauses_of(pair, one), _clauses_of(pair, other)
    return any(
        number != one
        and pair.claim[number].clause == pair.claim[one].clause
        and (its := _clauses_of(pair, number)) & there
        and its.isdisjoint(here)
        for number in told
    )


def _clauses_of(pair: Pair, number: int) -> set[int]:
    """Of the evidence, in which a word of the claim stands."""
    return {pair.evidence[place].clause for place in pair.places[number]}


def _added(pair: Pair) -> Iterator[str]:
    """Words that the evidence has not."""
    for word, at, repeated in zip(pair.claim, pair.places, pair.context, strict=True):
        if is_solid(word) and not at and not repeated:
            yield f"new {word.text}"
