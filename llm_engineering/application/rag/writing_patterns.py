"""The English phrases by which a question speaks of writing: who wrote, in what form, under a tag.

Each pattern is narrow on purpose: "notes on indexing by hand" asks about indexing, "how do I list
messages tagged urgent" about messages. Does not know: what an index holds besides author names.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from llm_engineering.domain.documents import DocumentKind

KINDS = MappingProxyType(
    {
        "article": DocumentKind.ARTICLE,
        "blog post": DocumentKind.POST,
        "message": DocumentKind.MESSAGE,
        "note": DocumentKind.NOTE,
        "page": DocumentKind.PAGE,
        "post": DocumentKind.POST,
        "repositorie": DocumentKind.REPOSITORY,
        "repository": DocumentKind.REPOSITORY,
    }
)
"""Kinds by the word for them, a plural's 's' taken off."""

HOW_TO = re.compile(
    r"\W*(?:how (?:do|does|can|could|to|should|would|did)\b|is there|can i\b)", re.IGNORECASE
)
"""Such a question names notes and messages as things to work with."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A pattern and what it may do; its groups say what it names.

    Groups: `author` is held, `name` is a person's who is not, `kind` is one of KINDS; `tag` begins
    with a tag, `held_tag` with one if it is held, and may go on; `hashtag` is one if it is held.
    """

    pattern: re.Pattern[str]
    taken: bool = True
    """Whether it is no part of what to search for."""
    in_how_to: bool = True
    after_writing: bool = False
    """It counts only in a question that speaks of writing already."""


_KIND = r"(?P<kind>articles?|blog posts?|messages?|notes?|pages?|posts?|repositor(?:y|ies))"
_WORKS = rf"(?:{_KIND}|everything|anything|something|writings?)"
_NAME = r"(?P<name>(?-i:[A-Z][\w’'-]+(?: [A-Z][\w’'-]+)?))(?! (?-i:[A-Z]))(?!\w)"
"""Of at most two words: longer ones are mostly people that a text is about."""
_OFTEN = r"(?: (?:ever|already|also|actually|recently|been))*"
_PAST = r"(?:wrote|blogged|published|posted|said)"
_WRITE = r"(?:write|written|writing|blog|blogged|publish|published|post|posted)"
_SAY = rf"(?:{_WRITE}|say|said|think|mention|mentioned|learn|learned|learnt|recommend|note)"
_ABOUT = r"(?: (?:anything|something|much))?(?: (?:about|on|regarding)\b)?(?!\w)"
_ASKED = rf"(?:(?:what|when|where|why|(?:which|what) {_WORKS}) (?:else )?)?"
_WHEN = (
    r"(?:(?:since|before|after|between|from|in|until|during|over) (?:the )?(?:year )?"
    r"(?:[\w.]+ )?(?:19[7-9]\d|20\d\d|(?:last|past)\b|yesterday)"
    r"|(?:last|this) (?:week|month|year)|yesterday|today)"
)
_BY = r"(?:by (?-i:[A-Z])|tagged\b|with the tag\b|written\b|published\b|posted\b)"
_GOES_ON = rf"(?: (?:about|on|that|which|mention\w*|{_BY}|{_WHEN}))"
_THEIR_USE = (
    r"(?:mention|discuss|cover|talk about|speak of|deal with|(?:are|is) about(?! to\b)"
    rf"|(?:did|do|have|has) (?:I|you)\b|did (?-i:[A-Z])|{_BY}|{_WHEN})"
)


def _phrase(
    pattern: str, *, taken: bool = True, in_how_to: bool = True, after_writing: bool = False
) -> Phrase:
    return Phrase(re.compile(pattern, re.IGNORECASE), taken, in_how_to, after_writing)


def _phrases(authors: str) -> tuple[Phrase, ...]:
    author = rf"(?P<author>{authors})(?!\w)(?! (?-i:[A-Z]))"  # 'Ada' is not in 'Ada Byron'
    own = rf"(?:my|your|{author}['’]s)"
    whole = rf"{own} {_KIND}"

    return (
        _phrase(rf"\b{_ASKED}(?:did|does|has|had) {author}{_OFTEN} {_SAY}{_ABOUT}"),
        _phrase(rf"(?:(?:that|what) )?\b{author}{_OFTEN} {_PAST}{_ABOUT}"),
        _phrase(rf"\baccording to {author},?"),
        _phrase(rf"\b{_WORKS} (?:(?:written|published|posted) )?by {author}"),
        _phrase(rf"(?:\b(?:written|published|posted) )?\bby {author}(?=\W*$|[,?]|{_GOES_ON})"),
        _phrase(rf"\b{_KIND} (?:(?:written|published|posted) )?by {_NAME}", in_how_to=False),
        _phrase(
            rf"^{_ASKED}(?:did|has|had) {_NAME}{_OFTEN} (?:write|written|blog|blogged)"
            rf"(?: (?:anything|something))?(?= (?:about|on)\b| {_WHEN}|\W*$)"
        ),
        _phrase(rf"\b(?:did|do|have) (?:I|you){_OFTEN} {_SAY}\b", taken=False, in_how_to=False),
        _phrase(
            rf"\b(?:I|you)(?:['’]ve| have)? (?:{_PAST}|written)\b", taken=False, in_how_to=False
        ),
        _phrase(
            rf"^(?:in|from|search(?: in| through)?) (?:all )?(?:of )?{whole}(?=[,:] | for\b),?"
        ),
        _phrase(rf"\b(?:in|from) {whole}(?=\W*$| {_WHEN})", after_writing=True),
        _phrase(
            rf"^(?:which|what|are there|any) (?:of )?(?:{own} )?{_KIND}(?= (?:that )?{_THEIR_USE})"
        ),
        _phrase(
            rf"^(?:show|list|find|give)(?: me)?(?: all)?(?: (?:the|{own}))? {_KIND}"
            rf"(?: about\b|(?= (?:{_BY}|{_WHEN})))"
        ),
        _phrase(rf"^(?:all )?(?:(?:the|{own}) )?{_KIND}(?= (?:{_BY}|{_WHEN}))"),
        _phrase(
            rf"\b{_WORKS} (?:(?:that|which) )?(?:(?:is|are) )?"
            r"(?:tagged(?: as| with)?|with the tag) (?P<tag>.+)",
            in_how_to=False,
        ),
        _phrase(r"^\W*tagged(?: as| with)? (?P<held_tag>.+)"),
        _phrase(r"\b(?:tagged(?: as| with)?|with the tag) (?P<held_tag>.+)", after_writing=True),
        _phrase(r"(?:^|(?<=\s))#(?P<hashtag>[A-Za-z][\w-]*)(?=\W*$|(?: #[\w-]+)*\W*$)"),
        _phrase(r"^(?:#[\w-]+ )*#(?P<hashtag>[A-Za-z][\w-]*)(?=\s)"),
    )


@dataclass(frozen=True, slots=True)
class WritingPatterns:
    """The phrases for one set of authors, and who is meant by a name in them."""

    phrases: tuple[Phrase, ...]
    by_name: dict[str, tuple[str, ...]]

    def authors(self, said: str) -> tuple[str, ...]:
        """Everybody held whom `said` names: 'Ada' is every Ada; () for a stranger."""
        return self.by_name.get(said) or self.by_name.get(said.casefold(), ())


@lru_cache(maxsize=8)
def writing_patterns(authors: tuple[str, ...]) -> WritingPatterns:
    """An author is named in full, or by a first or last name written as theirs is.

    A name of one word must be written as it is: an author 'hand' is not in 'by hand' alone, but
    no 'Hand' is either.
    """
    whole: dict[str, tuple[str, ...]] = {}
    parts: dict[str, tuple[str, ...]] = {}
    for author in authors:
        words = author.split()
        if len(words) > 1:
            key = " ".join(words).casefold()
            whole[key] = (*whole.get(key, ()), author)
        for word in {words[0], words[-1]} if words else set():
            if len(words) == 1 or (len(word) > 2 and word[0].isupper()):
                parts[word] = (*parts.get(word, ()), author)
    alternatives = [
        *(re.escape(name) for name in sorted(whole, key=len, reverse=True)),
        *(f"(?-i:{re.escape(name)})" for name in sorted(parts, key=len, reverse=True)),
    ]
    return WritingPatterns(_phrases("|".join(alternatives) or "(?!)"), parts | whole)
