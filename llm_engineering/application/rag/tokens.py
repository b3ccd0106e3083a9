"""Tokens: a sentence cut into words, names, numbers and the breaks between clauses.

Does not know: what a word does to a statement (`reading.py`), who speaks (`voices.py`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from llm_engineering.application.rag.english import BREAKS

INLINE_CODE = r"`[^`\n]+`"
CITATION = r"\[\d\d?(?:\s*[,;]\s*\d\d?)*\]"
"""A mark such as [1] or [2, 3]."""

_TOKEN = re.compile(
    r"`(?P<code>[^`\n]+)`"
    r"|(?P<number>(?:(?<![\w.)\]-])[-−])?(?<![\w.])[<>]?[$€£#~]?\d+(?:,\d+)*(?:[./:-]\d+)*(?:%|\+)?)"
    r"(?P<unit>[A-Za-zµ]{0,12}/?s?\b)?"
    r"|(?P<word>(?:(?<![\w-])--?(?=[A-Za-z])|(?<!\w)[@./~](?=\w))?"
    r"[^\W\d]\w*(?:['’./:@-]\w+|_|\(\))*(?:\+\+|#(?!\w))?)"
    r"|(?P<quote>[“”\"])"
    r"|(?P<break>[,;:()—–…]|\s-\s|[.!?](?=\s|$)|\n\s*\n)"
)
_CODE_TOKEN = re.compile(r"[^\s,;()\[\]{}\"'=|]+")
_LEFT_OUT = re.compile(
    rf"(?P<code>{INLINE_CODE})"
    r"|(?<=\])\([^)\s]{0,2000}\)|!?\[(?=[^\]]{0,500}\]\()|(?<=\w)\](?=\()|https?://\S+"
)
_CITED = re.compile(rf"(?P<code>{INLINE_CODE})|\s?{CITATION}(?!\()")
_NAME_INSIDE = re.compile(r"[_/\\@]|\w[.:]\w|^--?\w|\(\)$|[a-z][A-Z]|[A-Z]{2}|\w\d|\+\+$|#$")
_CAPITAL = re.compile(r"[A-Z]")
_CLITICS = frozenset(("s", "ll", "d", "re", "ve", "m"))


@dataclass(frozen=True, slots=True)
class Token:
    """One of them, in its clause."""

    kind: Literal["word", "number", "name", "break"]
    clause: int
    text: str = ""
    """Lower-case, without apostrophes and what is contracted; of a break its mark."""
    unit: str = ""
    clitic: str = ""
    """What is contracted: 's', 'll', 'd', 're', 've', 'm'."""
    capital: bool = False
    first: bool = False
    """Of a sentence, so that a capital says nothing."""
    after_break: bool = False
    quoted: bool = False
    """Between quotation marks."""


def bare(text: str) -> str:
    """Without addresses, those behind links included; code is left alone."""
    return _LEFT_OUT.sub(_only_code, text)


def uncited(text: str) -> str:
    """An answer's text without its citation marks; code is left alone.

    What an author writes has none: there, a number in brackets is the author's own.
    """
    return _CITED.sub(_only_code, text)


def _only_code(match: re.Match[str]) -> str:
    return match["code"] or ""


def tokens(text: str) -> Iterator[Token]:
    """Of `text`, without addresses."""
    first = after_break = True
    clause, quoted = 0, False
    for match in _TOKEN.finditer(bare(text)):
        if match["quote"]:
            quoted = not quoted
            continue
        if mark := match["break"]:
            first = mark in ".!?…:" or "\n" in mark
            after_break = True
            clause += 1
            yield Token("break", clause, mark)
            continue
        for token in _worded(match):
            clause += token.kind == "word" and token.text in BREAKS
            yield replace(token, clause=clause, first=first, after_break=after_break, quoted=quoted)
            first = after_break = False


def _worded(match: re.Match[str]) -> Iterator[Token]:
    if code := match["code"]:
        for piece in _CODE_TOKEN.findall(code):
            yield Token("name", 0, piece.casefold())
    elif number := match["number"]:
        yield Token("number", 0, number, match["unit"] or "")
    else:
        plain, clitic = match["word"].replace("’", "'"), ""
        head, _, tail = plain.rpartition("'")
        if head and tail.casefold() in _CLITICS:
            plain, clitic = head, tail.casefold()
        yield Token(
            "name" if _NAME_INSIDE.search(plain) else "word",
            0,
            plain.casefold().replace("'", ""),
            clitic=clitic,
            capital=_CAPITAL.match(plain) is not None,
        )
