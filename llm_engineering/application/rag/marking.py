"""Retrieved text as a model is shown it: marked as data on every line, without what nobody sees.

The mark follows "datamarking" (Hines et al. 2024, Defending Against Indirect Prompt Injection
Attacks With Spotlighting): a text cannot begin a line or a sentence of the prompt by itself, so
it can neither end its passage nor open another. Does not know: what a text says.
"""

import re
import unicodedata

from llm_engineering.application.markdown import code_spans

MARK = "¦"
"""Before every line and every sentence of a passage."""

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_HIDDEN = re.compile(
    r"<(?P<tag>[a-z][a-z0-9-]*)\b[^<>]*?(?:\shidden\b|\saria-hidden\s*=|\sstyle\s*=[^<>]*?(?:"
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?![.\d])|"
    r"font-size\s*:\s*0(?![.\d])|color\s*:\s*(?:transparent|white|\#fff(?:fff)?\b)|"
    r"(?:left|top|text-indent)\s*:\s*-\d{3,}))[^<>]*>.*?(?:</(?P=tag)\s*>|\Z)"
    r"|<(?P<unseen>script|style|template|noscript|head|title)\b[^<>]*>.*?(?:</(?P=unseen)\s*>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
"""Elements that a browser does not draw, or draws so that nobody sees them."""
_JOINERS = "\u200c\u200d"
"""Scripts and emoji are written with them."""
_SELECTORS = re.compile("[\ufe00-\ufe0f]{2,}|[\U000e0100-\U000e01ef]")
"""Variation selectors after no character: a way to write bytes that show nothing."""
_SENTENCE = re.compile(r"(?<=[.!?…])[ \t]+(?=\S)")
_UNMARKED = re.compile(rf"{MARK} ?")


def visible(text: str) -> str:
    """What a reader of the page sees of `text`: no comments, no hidden elements and none of the
    characters that show nothing; code is left alone but for the latter."""
    pieces: list[str] = []
    at = 0
    for start, end in code_spans(text) if "<" in text else ():
        pieces += (_drawn(text[at:start]), text[start:end])
        at = end
    pieces.append(_drawn(text[at:]))
    return _SELECTORS.sub("", _shown("".join(pieces)))


def datamarked(text: str) -> str:
    """`visible` text with a mark before every line and, outside code, every sentence."""
    seen = visible(text).strip()
    code = code_spans(seen)

    def marked(match: re.Match[str]) -> str:
        inside = any(start <= match.start() < end for start, end in code)
        return match[0] if inside else f" {MARK} "

    lines = _SENTENCE.sub(marked, seen.replace(MARK, "|")).splitlines()
    return "\n".join(f"{MARK} {line}".rstrip() for line in lines)


def unmarked(text: str) -> str:
    """Without the marks that a model has copied."""
    return _UNMARKED.sub("", text)


def one_line(text: str) -> str:
    """A title or an address: no line breaks and nothing that does not show."""
    return " ".join(_shown(text.replace(MARK, "|")).split())


def _drawn(prose: str) -> str:
    return _HIDDEN.sub("", _COMMENT.sub("", prose))


def _shown(text: str) -> str:
    # A text has many characters and few different ones.
    hidden = [character for character in set(text) if not _shows(character)]
    return text.translate(dict.fromkeys(map(ord, hidden))) if hidden else text


def _shows(character: str) -> bool:
    if character in _JOINERS or character in "\n\t\r":
        return True
    return unicodedata.category(character) not in ("Cf", "Cc", "Co", "Cn", "Cs")
