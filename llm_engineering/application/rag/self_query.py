"""Read what a question says about who wrote, when, in what form and under which tag.

Pure English rules, no model. They read only what is plainly said about the *writing*: a date or a
name that may as well be the topic stays in the question. A name that the index does not hold is
reported, never replaced by one that is near.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from llm_engineering.application.rag.date_ranges import date_ranges
from llm_engineering.application.rag.prompts import NOT_HELD
from llm_engineering.application.rag.writing_patterns import (
    HOW_TO,
    KINDS,
    Phrase,
    WritingPatterns,
    writing_patterns,
)
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter, DocumentKind
from llm_engineering.ports.stores import VectorIndex


@dataclass(frozen=True, slots=True)
class KnownNames:
    """What an index holds, most frequent first."""

    authors: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class SelfQuery(BaseModel):
    """What a question asks for, and under which conditions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    """What is left to search for; the whole question when nothing is."""
    where: DocumentFilter = EVERYTHING
    unknown_authors: tuple[str, ...] = ()
    """Asked for by name and not held; the filter says nothing of them."""
    unknown_kinds: tuple[str, ...] = ()
    unknown_tags: tuple[str, ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Everything that is asked for and not held; `not_held` says so in a sentence."""
        return self.unknown_authors + self.unknown_kinds + self.unknown_tags


def known_names(index: VectorIndex) -> KnownNames:
    """What the published version holds: four requests, so keep the answer per version."""
    return KnownNames(
        authors=_ordered(index.values("author")),
        kinds=_ordered(index.values("kind")),
        tags=_ordered(index.values("tags")),
        sources=_ordered(index.values("source")),
    )


def read(question: str, *, known: KnownNames, now: datetime) -> SelfQuery:
    """The conditions that `question` states, and the question without them.

    `now` has a time zone; days and years begin in it.
    """
    patterns = writing_patterns(known.authors)
    reading = _Reading(" ".join(question.split()), known)
    for phrase in patterns.phrases:
        _apply(phrase, patterns, reading)
    if reading.about_writing:
        _read_date(reading, now)
    if not reading.spans:
        return SelfQuery(question=question)
    return SelfQuery(
        question=reading.rest() or question,
        where=DocumentFilter(
            authors=tuple(reading.authors),
            kinds=tuple(reading.kinds),
            tags=tuple(reading.tags),
            published_from=reading.published_from,
            published_before=reading.published_before,
        ),
        unknown_authors=tuple(reading.unknown_authors),
        unknown_kinds=tuple(reading.unknown_kinds),
        unknown_tags=tuple(reading.unknown_tags),
    )


def not_held(asked: SelfQuery, *, known: KnownNames) -> str:
    """The plain answer to a question for what the index does not hold; '' when it holds all."""
    facets = (
        ("by", asked.unknown_authors, "author", known.authors),
        ("of the kind", asked.unknown_kinds, "kind", known.kinds),
        ("tagged", asked.unknown_tags, "tag", known.tags),
    )
    return " ".join(
        NOT_HELD.format(
            asked=f"{relation} {_listed([repr(name) for name in names], word='or')}",
            held=_held(noun, held),
        )
        for relation, names, noun, held in facets
        if names
    )


_LISTED = 10
"""Names that are said before the rest is only counted."""


def _held(noun: str, names: Sequence[str]) -> str:
    match names:
        case []:
            return f"there are no {noun}s here"
        case [name]:
            return f"the only {noun} here is {name}"
        case _:
            return f"the {noun}s here are {_listed(names, word='and')}"


def _listed(names: Sequence[str], *, word: str) -> str:
    shown = list(names[:_LISTED])
    if len(names) > _LISTED:
        shown.append(f"{len(names) - _LISTED:,} more")
    return f" {word} ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _ordered(values: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(values, key=lambda name: (-values[name], name)))


@dataclass(slots=True)
class _Reading:
    """What has been found so far in one question."""

    text: str
    known: KnownNames
    about_writing: bool = False
    """It speaks of what somebody wrote: a date in it is when."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    """What is no part of the rest; empty while nothing was found."""
    authors: dict[str, None] = field(default_factory=dict)
    kinds: dict[DocumentKind, None] = field(default_factory=dict)
    tags: dict[str, None] = field(default_factory=dict)
    unknown_authors: dict[str, None] = field(default_factory=dict)
    unknown_kinds: dict[str, None] = field(default_factory=dict)
    unknown_tags: dict[str, None] = field(default_factory=dict)
    published_from: datetime | None = None
    published_before: datetime | None = None

    def rest(self) -> str:
        """The question without what was read; '' when only little words are left."""
        kept, at = [], 0
        for start, end in sorted(self.spans):
            kept.append(self.text[at : max(start, at)])
            at = max(end, at)
        left = " ".join(" ".join([*kept, self.text[at:]]).split())
        left = _LOOSE.sub("", re.sub(r" (?=[,.?!])", "", left)).strip(" ,;:")
        return left if re.search(r"\w", _LITTLE.sub(" ", left)) else ""


_LOOSE = re.compile(
    r"^(?:\W*(?:and|that|about|on|for|of|which|mention|(?:are|is) about"
    r"|(?:did|do|have) (?:I|you) \w+)\b)+\s*"
    r"|[\s,;:]+(?=[?.!]*$)",
    re.IGNORECASE,
)
_LITTLE = re.compile(
    r"\b(?:what|which|when|did|do|have|has|i|you|me|my|your|the|a|in|on|of|by|and|or|is|are|was|"
    r"were|there|about|any|all|say|said|write|wrote|written|writing|publish|published|post|posted|"
    r"think|mention|mentioned|blog|blogged|show|list|find|anything|something|everything)\b",
    re.IGNORECASE,
)

_LONGEST_TAG = 4
"""Words of a tag."""
_ANY_WRITING = frozenset(
    {DocumentKind.ARTICLE, DocumentKind.NOTE, DocumentKind.PAGE, DocumentKind.POST}
)
"""Their words also stand for writing of whatever kind: they filter only where they are held."""


def _apply(phrase: Phrase, patterns: WritingPatterns, reading: _Reading) -> None:
    if phrase.after_writing and not reading.about_writing:
        return
    if not phrase.in_how_to and HOW_TO.match(reading.text):
        return
    for match in phrase.pattern.finditer(reading.text):
        end = _read_names(match, patterns, reading)
        if end and "hashtag" not in match.groupdict():
            reading.about_writing = True
        if end and phrase.taken:
            reading.spans.append((match.start(), end))


def _read_names(match: re.Match[str], patterns: WritingPatterns, reading: _Reading) -> int:
    """Read every name of `match`; where it ends, 0 when its tag is none that is held."""
    end = match.end()
    for group, said in match.groupdict().items():
        match group, said:
            case _, None:
                continue
            case "author", _:
                reading.authors |= dict.fromkeys(patterns.authors(said))
            case "name", _:
                if not patterns.authors(said):
                    reading.unknown_authors[said] = None
            case "kind", _:
                _read_kind(said, reading)
            case _:
                length = _read_tag(said, reading, asked=group == "tag")
                end = match.start(group) + length if length else 0
    return end


def _read_kind(said: str, reading: _Reading) -> None:
    kind = KINDS[said.lower().removesuffix("s")]
    if kind in reading.known.kinds:
        reading.kinds[kind] = None
    elif kind not in _ANY_WRITING:
        reading.unknown_kinds[kind.value] = None


def _read_tag(said: str, reading: _Reading, *, asked: bool) -> int:
    """Read the longest tag that starts `said`; its length. One that is not held counts if `asked`.

    '#general' may be a channel, '#main' a selector, 'tagged unions' a topic.
    """
    held = {tag.casefold(): tag for tag in reading.known.tags}
    words = list(re.finditer(r"[\w.+#-]*[\w+#]", said))[:_LONGEST_TAG]
    for last in reversed(words):
        tag = said[words[0].start() : last.end()].casefold()
        if tag in held:
            reading.tags[held[tag]] = None
            return last.end() + (said[last.end() : last.end() + 1] in tuple("'\"’”"))
    if asked and words:
        reading.unknown_tags[words[0].group()] = None
        return words[0].end()
    return 0


def _read_date(reading: _Reading, now: datetime) -> None:
    """The one date of a question; of several, which is meant is not known."""
    found = list(date_ranges(reading.text, now=now))
    if len(found) == 1:
        reading.published_from = found[0].published_from
        reading.published_before = found[0].published_before
        reading.spans.append((found[0].start, found[0].end))
