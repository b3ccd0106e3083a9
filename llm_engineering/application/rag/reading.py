"""Reading: a sentence as the words that a check compares, each with what is done to it.

Words are compared by the sparse encoder's terms, so that stems and stop words are those of
retrieval. What denies, weakens or widens a statement is known for English (`english.py`).

Does not know: which sentence is evidence and which is to be checked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from llm_engineering.application.rag.alike import ANTONYMS, SYNONYMS
from llm_engineering.application.rag.english import (
    APPROXIMATIONS,
    BREAKS,
    CAUSES,
    DIRECTIONS,
    HEDGES,
    LIGHT,
    MONTHS,
    NEAR_NEGATIONS,
    NEGATIONS,
    NUMBERS,
    OPINIONS,
    QUANTIFIERS,
    SEQUENCES,
    SUBORDINATE,
)
from llm_engineering.ports.models import SparseEncoder

Kind = Literal["content", "name", "number", "light", "function"]

_TOKEN = re.compile(
    r"`(?P<code>[^`\n]+)`"
    r"|(?P<number>(?<![\w.])[$€£#~]?\d[\d,]*(?:[./:-]\d+)*(?:%|\+)?)(?P<unit>[A-Za-zµ]{0,12}/?s?\b)?"
    r"|(?P<word>(?:(?<![\w-])--?(?=[A-Za-z])|(?<!\w)[@./~](?=\w))?"
    r"[^\W\d]\w*(?:['’./:@-]\w+|_|\(\))*(?:\+\+|#(?!\w))?)"
    r"|(?P<break>[,;:()—–…]|\s-\s|[.!?](?=\s|$)|\n\s*\n)"
)
_CODE_TOKEN = re.compile(r"[^\s,;()\[\]{}\"'=|]+")
_LINK = re.compile(r"(?<=\])\([^)\s]*\)|!?\[(?=[^\]]*\]\()|(?<=\w)\](?=\()")
_ADDRESS = re.compile(r"https?://\S+")
_MARK = re.compile(r"\s?\[\d\d?(?:\s*[,;]\s*\d\d?)*\](?!\()")
_NAME_INSIDE = re.compile(r"[_/\\@]|\w[.:]\w|^--?\w|\(\)$|[a-z][A-Z]|[A-Z]{2}|\w\d|\+\+$|#$")
_CAPITAL = re.compile(r"[A-Z]")
_CARRYING = frozenset(("that", "whether"))
_SCOPE, _SHORT_SCOPE = 8, 3
"""Words that a negation reaches at most; those that go with a noun reach less far."""
_STEP = re.compile(r"\s*\d{1,2}[.)]\s")
"""Steps of a list come one after the other."""
_PARTICLE = re.compile(
    r"\s*[“\"]?(?:yes|no|well|right|indeed|correct)\b\s*[,:;.—–-]\s*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Word:
    """One word in its place."""

    key: str
    """What it is compared by: a stem's number, or a name's own letters."""
    kind: Kind
    clause: int
    text: str
    """Lower-case, without apostrophes."""
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

    def matter(self) -> tuple[Word, ...]:
        """The words that claim something."""
        return tuple(word for word in self.words if word.kind != "function")


class Reader:
    """Reads sentences by the terms of one sparse encoder; safe to use from threads."""

    def __init__(self, sparse: SparseEncoder) -> None:
        self._sparse = sparse
        self._keys: dict[str, str] = {}
        self._known: dict[str, Statement] = {}
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

    def read(self, text: str) -> Statement:
        """`text` taken apart; marks and the targets of links are left out."""
        plain = text.strip()
        known = self._known.get(plain)
        if known is None:
            if len(self._known) > _KEPT_STATEMENTS:
                self._known.clear()
            known = self._known[plain] = self._taken_apart(plain)
        return known

    def _taken_apart(self, text: str) -> Statement:
        words: list[Word] = []
        markers: set[str] = {"first", "after"} if _STEP.match(text) else set()
        hedged: set[int] = set()
        conditioned: set[int] = set()
        clause, scope = 0, 0
        for token in _tokens(_PARTICLE.sub("", text, count=1) if _PARTICLE.match(text) else text):
            plain = token.text
            if token.kind == "break" or plain in BREAKS:
                clause += 1
                if plain in _CARRYING:  # 'I doubt that', 'I don't think that'
                    hedged |= {clause} if clause - 1 in hedged else set()
                else:
                    scope = 0
            if token.kind == "break":
                continue
            said = _markers(plain, after_break=token.after_break)
            markers |= said
            if "hedge" in said:
                hedged.add(clause)
            if "condition" in said:
                # 'X if Y' and 'if Y, X'.
                conditioned |= {clause - 1, clause, clause + 1}
            word = self._word(token, clause=clause, denied=scope > 0)
            if word is not None:
                words.append(word)
                scope = max(scope - 1, 0)
            if plain in NEGATIONS:
                scope = 0 if scope else _reach(plain)
            elif plain == "need" and scope == _SHORT_SCOPE - 1:
                scope = _SCOPE  # 'no need for it' is 'I don't need it'
        placed = (
            replace(word, hedged=word.clause in hedged, conditioned=word.clause in conditioned)
            for word in words
        )
        return Statement(tuple(placed), frozenset(markers), clause + 1)

    def _word(self, token: "_Token", *, clause: int, denied: bool) -> Word | None:
        text = token.text
        if token.kind == "number":
            return Word(_number(text), "number", clause, text, denied, _unit(token.unit))
        if token.kind == "name":
            named = text.strip(".:,-").removesuffix("()")
            # `sudo` in code is the sudo of prose.
            key = (self.key(named) if named.isalpha() else "") or named
            return Word(key, "name", clause, text, denied)
        if text in NUMBERS and text not in ("one", "once", "half"):
            return Word(NUMBERS[text], "number", clause, text, denied)
        if text in MONTHS and token.capital and not token.first:
            return Word(text, "name", clause, text, denied)
        key = self.key(text)
        if not key:
            opposed = text in self._opposed or text in DIRECTIONS
            return Word(text, "function", clause, text, denied) if opposed else None
        if text in NEGATIONS or text in QUANTIFIERS or text in SEQUENCES or text in HEDGES:
            return Word(key, "light", clause, text, denied)
        if text in LIGHT:
            return Word(key, "light", clause, text, denied)
        if token.capital and not token.first:
            return Word(key, "name", clause, text, denied)
        return Word(key, "content", clause, text, denied)


def reader_of(sparse: SparseEncoder) -> Reader:
    """One for each kind of encoder: it remembers words."""
    known = _readers.get(sparse.name)
    if known is None:
        known = _readers[sparse.name] = Reader(sparse)
    return known


_readers: dict[str, Reader] = {}
_KEPT = 100_000
"""Words whose keys are kept."""
_KEPT_STATEMENTS = 4_000
"""The same passages answer many questions."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Literal["word", "number", "name", "break"]
    text: str = ""
    unit: str = ""
    capital: bool = False
    first: bool = False
    after_break: bool = False


def bare(text: str) -> str:
    """Without citation marks and the targets of links."""
    return _ADDRESS.sub("", _LINK.sub("", _MARK.sub("", text)))


def _tokens(text: str) -> Iterator[_Token]:
    first = after_break = True
    for match in _TOKEN.finditer(bare(text)):
        if match["break"]:
            first = match["break"] in ".!?…:" or "\n" in match["break"]
            after_break = True
            yield _Token("break")
            continue
        if code := match["code"]:
            for piece in _CODE_TOKEN.findall(code):
                yield _Token("name", piece.casefold())
        elif number := match["number"]:
            yield _Token("number", number, match["unit"] or "")
        else:
            word = match["word"]
            plain = word.replace("’", "'")
            head, _, tail = plain.rpartition("'")
            if tail.casefold() in ("s", "ll", "d", "re", "ve", "m") and head:
                plain = head
            name = _NAME_INSIDE.search(plain) is not None
            yield _Token(
                "name" if name else "word",
                plain.casefold().replace("'", ""),
                capital=_CAPITAL.match(plain) is not None,
                first=first,
                after_break=after_break,
            )
        first = after_break = False


def _reach(negation: str) -> int:
    if negation == "without":
        return 1
    return _SHORT_SCOPE if negation in NEAR_NEGATIONS else _SCOPE


def _markers(text: str, *, after_break: bool) -> set[str]:
    found = set()
    if text in CAUSES and (text != "so" or after_break):
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
    """'16,000' is '16000', '$0.003' is '0.003'."""
    return text.lstrip("$€£#~").rstrip("+").replace(",", "")


def _unit(text: str) -> str:
    return text.casefold().rstrip("/")
