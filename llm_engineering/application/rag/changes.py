"""Changes: where the author said one thing and later another.

Found among the dated sentences of the passages, by rules that would rather miss a change than make
one up: both speak of the same things, and the newer one says that it is no longer so, denies the
older, says its contrary, or gives another number or another choice in the same words.

Does not know: why the author changed; languages other than English.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from llm_engineering.application.rag.reading import Reader, Statement, Word
from llm_engineering.domain.chat import Change, Citation, Passage

MOST = 3
"""Changes that are told of one answer, the newest first."""
_SENTENCES = 48
"""Of the best passages, that are compared."""
_FAREWELL = re.compile(
    r"\b(?:no longer|used to|any ?more|changed my mind|was wrong|gave up|"
    r"(?:mov|switch|migrat)(?:ed|ing) (?:\S+ ){0,4}?(?:away )?(?:from|to)|"
    r"(?:stopp|abandon|replac|retir|dropp|ditch)(?:ed|ing)?)\b",
    re.IGNORECASE,
)
"""Says that something was otherwise before."""
_CHOICE = re.compile(
    r"\b(?:I|we|my|our)\b.{0,40}\b(?:use|prefer|recommend|like|love|rely|keep|write|store|run|"
    r"deploy|host|favou?rite|choose|default|go with|swear by)s?\b",
    re.IGNORECASE | re.DOTALL,
)
"""Says what the author does or likes."""
_SAME = 0.6
"""Share of the shorter sentence's matter that the other must have."""
_MATTER = frozenset(("content", "name"))


@dataclass(frozen=True, slots=True)
class _Dated:
    passage: Passage
    start: int
    end: int
    at: datetime
    read: Statement
    matter: frozenset[str]

    @property
    def text(self) -> str:
        return self.passage.quote(self.start, self.end)

    def cited(self, heading_path: tuple[str, ...]) -> Citation:
        return Citation.of(
            self.passage.document,
            start=self.start,
            end=self.end,
            quote=self.text,
            heading_path=heading_path,
        )


def changes(passages: Sequence[Passage], *, reader: Reader) -> tuple[Change, ...]:
    """Pairs of sentences of one author in which the newer contradicts the older, newest first.

    A sentence is told of in one change at most. Documents without a date change nothing.
    """
    if len({each.document.published_at for each in passages} - {None}) < 2:
        return ()
    found: list[tuple[datetime, Change]] = []
    for one, other in combinations(_dated(passages, reader), 2):
        old, new = (one, other) if one.at <= other.at else (other, one)
        if old.at.date() == new.at.date() or not _same_author(old, new):
            continue
        if _contradict(old, new, reader):
            change = Change(
                before=old.cited(old.passage.heading_path),
                after=new.cited(new.passage.heading_path),
            )
            found.append((new.at, change))
    return _distinct([change for _, change in sorted(found, key=lambda each: each[0])[::-1]])


def _dated(passages: Sequence[Passage], reader: Reader) -> list[_Dated]:
    found = []
    for passage in passages:
        at = passage.document.published_at
        if at is None or passage.document.language not in (None, "en"):
            continue
        for sentence in passage.sentences:
            read = reader.read(passage.quote(sentence.start, sentence.end), spoken=False)
            matter = frozenset(w.key for w in read.words if w.kind in _MATTER)
            found.append(_Dated(passage, sentence.start, sentence.end, at, read, matter))
    return found[:_SENTENCES]


def _same_author(old: _Dated, new: _Dated) -> bool:
    one, other = old.passage.document, new.passage.document
    return one.author == other.author and one.id != other.id


def _contradict(old: _Dated, new: _Dated, reader: Reader) -> bool:
    shared = old.matter & new.matter
    if not shared:
        return False
    if _FAREWELL.search(new.text) and not _FAREWELL.search(old.text):
        return _left_behind(old, shared)
    alike = len(shared) / min(len(old.matter), len(new.matter)) >= _SAME
    if len(shared) < 2 or not alike:
        return False
    return (
        _denied(old, new, shared)
        or _contrary(old, new, reader)
        or (len(shared) >= 3 and _another_number(old, new))
        or (len(shared) >= 3 and _another_choice(old, new))
    )


def _left_behind(old: _Dated, shared: frozenset[str]) -> bool:
    """The newer says that it is no longer so, of what the older chose."""
    names = {w.key for w in old.read.words if w.kind == "name"} & shared
    return (len(shared) >= 2 or bool(names)) and _CHOICE.search(old.text) is not None


def _denied(old: _Dated, new: _Dated, shared: frozenset[str]) -> bool:
    def denials(each: _Dated) -> dict[str, set[bool]]:
        found: dict[str, set[bool]] = {}
        for word in each.read.words:
            if word.key in shared:
                found.setdefault(word.key, set()).add(word.denied)
        return found

    before, after = denials(old), denials(new)
    turned = sum(before[key].isdisjoint(after[key]) for key in shared)
    # One turned word among many is another detail of the same matter.
    return turned >= 2 or (turned == 1 and len(shared) <= 2)


def _contrary(old: _Dated, new: _Dated, reader: Reader) -> bool:
    before = {word.key for word in old.read.words}
    after = {word.key for word in new.read.words}
    return any(
        contraries & (after - before) and not contraries & before
        for key in before - after
        for contraries in [reader.opposed(key)]
    )


def _another_number(old: _Dated, new: _Dated) -> bool:
    """The same unit, and no number in common."""
    before, after = _counted(old.read.words), _counted(new.read.words)
    if not before or not after or {n for n, _ in before} & {n for n, _ in after}:
        return False
    return bool({unit for _, unit in before} & {unit for _, unit in after} - {""})


def _counted(words: Sequence[Word]) -> set[tuple[str, str]]:
    behind = [*words[1:], None]
    return {
        (word.key, word.unit or (after.text if after else ""))
        for word, after in zip(words, behind, strict=True)
        if word.kind == "number"
    }


def _another_choice(old: _Dated, new: _Dated) -> bool:
    """'I use X for this' and later 'I use Y for this': all but one name is the same."""
    if not (_CHOICE.search(old.text) and _CHOICE.search(new.text)):
        return False
    return _single_name(old, new) and _single_name(new, old)


def _single_name(one: _Dated, other: _Dated) -> bool:
    only = [w for w in one.read.words if w.kind in _MATTER and w.key not in other.matter]
    return len({w.key for w in only}) == 1 and only[0].kind == "name"


def _distinct(found: Sequence[Change]) -> tuple[Change, ...]:
    kept: list[Change] = []
    told: set[Citation] = set()
    for change in found:
        if told.isdisjoint((change.before, change.after)):
            kept.append(change)
            told.update((change.before, change.after))
    return tuple(kept[:MOST])
