"""Reading: a sentence as the words that a check compares, each with what is done to it.

Words are compared by the sparse encoder's terms, so that stems and stop words are those of
retrieval. What denies, weakens or widens a statement is known for English (`english.py`).

Does not know: which sentence is evidence and which is to be checked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from llm_engineering.application.rag.alike import ANTONYMS, SYNONYMS
from llm_engineering.application.rag.english import (
    APPROXIMATIONS,
    CAUSES,
    CURRENCIES,
    DIRECTIONS,
    HEDGES,
    LIGHT,
    MONTHS,
    NEAR_NEGATIONS,
    NEGATIONS,
    NUMBERS,
    OPINIONS,
    OWNERS,
    QUANTIFIERS,
    SEQUENCES,
    SUBJECTS,
    SUBORDINATE,
)
from llm_engineering.application.rag.tokens import Token, tokens
from llm_engineering.application.rag.voices import Voice, voices
from llm_engineering.ports.models import SparseEncoder

Kind = Literal["content", "name", "number", "light", "function"]

_CARRYING = frozenset(("that", "whether"))
"""'I doubt that', 'I don't think that'."""
_BEGINNING = SUBJECTS.keys() | OWNERS.keys() | frozenset(("the", "a", "an"))
_SCOPE, _SHORT_SCOPE = 8, 3
"""Words that a negation reaches at most; those that go with a noun reach less far."""
_STEP = re.compile(r"\s*\d{1,2}[.)]\s")
"""Steps of a list come one after the other."""
_PARTICLE = re.compile(
    r"\s*[“\"]?(?:yes|no|well|right|indeed|correct)\b\s*[,:;.—–-]\s*", re.IGNORECASE
)
_NOBODY = Voice()
_WITHOUT_WEIGHT = LIGHT | CURRENCIES.keys() | HEDGES | QUANTIFIERS.keys() | SEQUENCES.keys()


@dataclass(frozen=True, slots=True)
class Word:
    """One word in its place."""

    key: str
    """What it is compared by: a stem's number, or a name's own letters."""
    kind: Kind
    clause: int
    text: str
    """Lower-case, without apostrophes."""
    voice: Voice
    """Who does it, whose it is, who says so."""
    denied: bool = False
    unit: str = ""
    """Of a number: what it counts."""
    hedged: bool = False
    """Its clause says that it may not be so."""
    conditioned: bool = False
    """It is said under a condition, or is one."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence as its words, and what its clauses do beside naming things."""

    words: tuple[Word, ...]
    markers: frozenset[str]
    """Which of `because`, `hedge`, `approximately`, `condition`, `opinion`, `not`, quantifiers and
    sequences are in it."""
    clauses: int
    tokens: tuple[Token, ...] = ()
    """What it was read from."""

    def matter(self) -> tuple[Word, ...]:
        """The words that claim something."""
        return tuple(word for word in self.words if word.kind != "function")


class Reader:
    """Reads sentences by the terms of one sparse encoder; safe to use from threads."""

    def __init__(self, sparse: SparseEncoder) -> None:
        self._sparse = sparse
        self._keys: dict[str, str] = {}
        self._known: dict[tuple[str, bool], Statement] = {}
        groups: dict[str, set[str]] = {}
        for words in SYNONYMS:
            keys = {self.key(word) for word in words} - {""}
            for key in keys:
                groups.setdefault(key, set()).update(keys)
        self._alike = {key: frozenset(keys) for key, keys in groups.items()}
        opposed: dict[str, set[str]] = {}
        for one, other in ANTONYMS:
            a, b = self.key(one) or one, self.key(other) or other
            if a != b:
                opposed.setdefault(a, set()).add(b)
                opposed.setdefault(b, set()).add(a)
        self._opposed = {key: frozenset(keys) for key, keys in opposed.items()}

    def key(self, word: str) -> str:
        """A stem's number; '' for a stop word."""
        known = self._keys.get(word)
        if known is None:
            found = self._sparse.query(word, language="en").indices.tolist()
            known = "+".join(map(str, sorted(found)))
            if len(self._keys) > _KEPT:
                self._keys.clear()
            self._keys[word] = known
        return known

    def alike(self, key: str) -> frozenset[str]:
        """What may stand for it, itself included."""
        return self._alike.get(key, frozenset((key,)))

    def opposed(self, key: str) -> frozenset[str]:
        """What cannot be true at once with it."""
        return self._opposed.get(key, frozenset())

    def read(self, text: str, *, spoken: bool = True) -> Statement:
        """`text` taken apart, addresses left out. Without `spoken`, in half the time and without
        the voices of its words."""
        asked = text.strip(), spoken
        known = self._known.get(asked)
        if known is None:
            if len(self._known) > _KEPT_STATEMENTS:
                self._known.clear()
            known = self._taken_apart(*asked)
            if len(known.tokens) <= _KEPT_TOKENS:
                self._known[asked] = known
        return known

    def _taken_apart(self, text: str, spoken: bool) -> Statement:
        words: list[Word] = []
        markers: set[str] = {"first", "after"} if _STEP.match(text) else set()
        cut = list(tokens(_PARTICLE.sub("", text, count=1) if _PARTICLE.match(text) else text))
        hedged, conditioned = _doubted(cut)
        clause, scope = 0, 0
        told = voices(cut, stop=self._names_nothing) if spoken else [_NOBODY] * len(cut)
        for token, voice, behind in zip(cut, told, [*cut, None][1:], strict=True):
            plain = token.text
            ends_clause = behind is None or behind.kind == "break"
            if token.clause != clause:
                clause, scope = token.clause, scope if plain in _CARRYING else 0
            if token.kind == "break":
                continue
            markers |= _markers(token)
            word = self._word(token, voice, denied=scope > 0)
            if word is not None:
                words.append(word)
                scope = max(scope - 1, 0)
            if plain in NEGATIONS:
                scope = 0 if scope else _reach(plain)
                if ends_clause:  # 'that is easy, but this is not'
                    words = [_deny(each, clause) for each in words]
            elif plain == "need" and scope == _SHORT_SCOPE - 1:
                scope = _SCOPE  # 'no need for it' is 'I don't need it'
        placed = (
            replace(word, hedged=word.clause in hedged, conditioned=word.clause in conditioned)
            for word in words
        )
        return Statement(tuple(placed), frozenset(markers), clause + 1, tuple(cut))

    def _names_nothing(self, text: str) -> bool:
        return text in _WITHOUT_WEIGHT or not self.key(text)

    def _word(self, token: Token, voice: Voice, *, denied: bool) -> Word | None:
        text = token.text

        def word(key: str, kind: Kind, unit: str = "") -> Word:
            return Word(key, kind, token.clause, text, voice, denied, unit)

        if token.kind == "number":
            return word(_number(text), "number", _unit(token))
        if token.kind == "name":
            named = text.strip(".:,-").removesuffix("()")
            # `sudo` in code is the sudo of prose.
            return word((self.key(named) if named.isalpha() else "") or named, "name")
        if text in NUMBERS and text not in ("one", "once", "half"):
            return word(NUMBERS[text], "number")
        if text in MONTHS and token.capital and not token.first:
            return word(text, "name")
        key = self.key(text)
        if not key:
            opposed = text in self._opposed or text in DIRECTIONS
            return word(text, "function") if opposed else None
        if text in _WITHOUT_WEIGHT or text in NEGATIONS:
            return word(key, "light")
        return word(key, "name" if token.capital and not token.first else "content")


def reader_of(sparse: SparseEncoder) -> Reader:
    """One for each kind of encoder: it remembers words."""
    known = _readers.get(sparse.name)
    if known is None:
        known = _readers[sparse.name] = Reader(sparse)
    return known


_readers: dict[str, Reader] = {}
_KEPT = 100_000
"""Words whose keys are kept."""
_KEPT_TOKENS = 200
"""Of a statement that is kept; a longer one takes much room."""
_KEPT_STATEMENTS = 4_000
"""The same passages answer many questions."""


def _doubted(cut: Sequence[Token]) -> tuple[set[int], set[int]]:
    """Clauses that are hedged, and those under a condition."""
    hedged: set[int] = set()
    conditional: set[int] = set()
    clause = 0
    for token, behind in zip(cut, [*cut, None][1:], strict=True):
        if token.clause != clause:
            if clause in hedged and (token.text in _CARRYING or _goes_on(token, behind)):
                hedged.add(token.clause)
            clause = token.clause
        if token.kind == "break":
            continue
        said = _markers(token)
        if "hedge" in said:
            hedged.add(clause)
        if "condition" in said:
            conditional.add(clause)
    # 'X if Y', 'if Y, X' and 'if Y, then X', whose comma is a clause without words.
    worded = list(dict.fromkeys(token.clause for token in cut if token.kind != "break"))
    conditioned = {
        near
        for at, each in enumerate(worded)
        if each in conditional
        for near in worded[max(at - 1, 0) : at + 2]
    }
    return hedged, conditioned


def _goes_on(token: Token, behind: Token | None) -> bool:
    """'I want it to be fetched and then reused'."""
    if token.text not in ("and", "or", "then") or behind is None:
        return False
    return behind.kind == "word" and behind.text not in _BEGINNING and not behind.capital


def _deny(word: Word, clause: int) -> Word:
    return replace(word, denied=not word.denied) if word.clause == clause else word


def _reach(negation: str) -> int:
    if negation == "without":
        return 1
    return _SHORT_SCOPE if negation in NEAR_NEGATIONS else _SCOPE


def _markers(token: Token) -> set[str]:
    text = token.text
    found = {"approximately"} if text.startswith("~") and token.kind == "number" else set()
    if text in CAUSES and (text != "so" or token.after_break):
        found.add("because")
    if text in HEDGES:
        found.add("approximately" if text in APPROXIMATIONS else "hedge")
    if text in QUANTIFIERS:
        found.add(QUANTIFIERS[text])
    if text in SEQUENCES:
        found.add(SEQUENCES[text])
    if text in SUBORDINATE:
        found.add("condition")
    if text in OPINIONS:
        found.add("opinion")
    if text in NEGATIONS:
        found.add("not")
    return found


def _number(text: str) -> str:
    """'16,000' is '16000', '$0.003' is '0.003', '−5' is '-5'."""
    sign = "-" if text[0] in "-−" else ""
    return sign + text.lstrip("-−<>$€£#~").rstrip("+").replace(",", "")


def _unit(token: Token) -> str:
    """What is attached to it, or the sign of its currency."""
    sign = token.text.lstrip("-−<>")[:1]
    return sign if sign in "$€£" else token.unit.casefold().rstrip("/")
