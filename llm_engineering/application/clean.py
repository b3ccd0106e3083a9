"""Clean: drop page furniture and invisible noise; never touch the author's voice.

Case, punctuation, apostrophes, quotes, contractions, emphasis, paragraph breaks and code blocks
survive character by character. What goes: carriage returns; outside code also control and
zero-width characters, trailing blanks and runs of empty lines; and, on pages from the web, lines
that are nothing but furniture ("Sign in", "Share this", "Accept all cookies").
"""

import re

from llm_engineering.application.markdown import code_spans
from llm_engineering.domain.documents import Document

CLEANING = "clean-2"
"""Changes whenever the same document would be cleaned to another text."""

_NEWLINES = re.compile(r"\r\n?")
_NOISE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u200b\ufeff]")
_TRAILING = re.compile(r"[ \t]+(?=\n|\Z)")
_EMPTY_LINES = re.compile(r"\n{3,}")
_FURNITURE = re.compile(
    r"""^[ \t]*\[?(?:
        sign\ (?:in|up|out) | log\ (?:in|out) | subscribe(?:\ now)?
        | share(?:\ this(?:\ (?:post|article|page))?)?:? | share\ (?:on|to|via)\ \w+ | tweet\ this
        | follow\ (?:me|us)(?:\ on\ \w+)? | (?:skip|jump)\ to\ (?:main\ )?content
        | (?:accept|reject|allow)\ (?:all\ )?cookies
        | (?:manage\ )?cookie\ (?:settings|policy|preferences)
        | privacy\ policy | terms\ of\ (?:use|service) | all\ rights\ reserved
        | open\ in\ app | \d+\ min(?:ute)?s?\ read
        | leave\ a\ (?:comment|reply) | related\ (?:posts|articles)
        | (?:previous|next)\ (?:post|article|page) | back\ to\ top
    )(?:\]\([^)\n]*\))?[ \t.!|»›→←«‹]*$""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
"""Whole lines only, and only what no author writes as a line of their own."""


def clean(document: Document) -> Document:
    """A copy with cleaned text: the text that chunk and citation offsets refer to."""
    furniture = not document.source.startswith("files:")
    return document.model_copy(update={"text": clean_text(document.text, furniture=furniture)})


def clean_text(text: str, *, furniture: bool) -> str:
    """Cleaned `text`, "\\n" newlines only, no blank edges; '' when nothing is left.

    `furniture` removes lines that are only page furniture. Cleaning twice is cleaning once.
    """
    text = _edged(_NEWLINES.sub("\n", text).lstrip("\ufeff").replace("\x00", ""))
    cleaned = _pass(text, furniture=furniture)
    while cleaned != text:  # a removed line can join its neighbours into a new code block
        text, cleaned = cleaned, _pass(cleaned, furniture=furniture)
    return cleaned


def _pass(text: str, *, furniture: bool) -> str:
    kept: list[str] = []
    at = 0
    for start, end in code_spans(text):
        kept += (_prose(text[at:start], furniture=furniture), text[start:end])
        at = end
    kept.append(_prose(text[at:], furniture=furniture))
    return _edged("".join(kept))


def _edged(text: str) -> str:
    stripped = text.strip("\n")
    return stripped if stripped.strip() else ""


def _prose(text: str, *, furniture: bool) -> str:
    text = _NOISE.sub("", text)
    if furniture:
        text = _FURNITURE.sub("", text)
    return _EMPTY_LINES.sub("\n\n", _TRAILING.sub("", text))
