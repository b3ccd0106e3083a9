"""Retrieved text as a model is shown it: marked as data on every line, without what nobody sees.

The mark follows "datamarking" (Hines et al. 2024, Defending Against Indirect Prompt Injection
Attacks With Spotlighting): a text cannot begin a line or a sentence of the prompt by itself, so
it can neither end its passage nor open another. Does not know: what a text says.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from html import unescape

from llm_engineering.application.markdown import code_spans
from llm_engineering.application.rag.tokens import INLINE_CODE

MARK = "¦"
"""Before every line and every sentence of a passage."""

_INLINE_CODE = re.compile(INLINE_CODE)
_TAG = re.compile(
    r"<!--(?:-?>)?|<(?P<closes>/?)(?P<name>[a-z][a-z0-9-]*+)"
    r"(?P<given>(?:[^<>\"']++|\"[^\"]{0,1000}+\"|'[^']{0,1000}+'|[\"'])*+)>",
    re.IGNORECASE,
)
_HIDING = re.compile(
    r"(?<![^\s\"'/])(?:hidden|aria-hidden\s*+=\s*+[\"']?true)(?![\w-])", re.IGNORECASE
)
_STYLE = re.compile(r"(?<![^\s\"'/])style\s*+=\s*+(\"[^\"]*+\"|'[^']*+'|[^\s\"']*+)", re.IGNORECASE)
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?![.\d])|"
    r"font-size\s*:\s*0(?![.\d])|color\s*:\s*(?:transparent|white|\#fff(?:fff)?\b)|"
    r"(?:left|top|text-indent)\s*:\s*-\d{3,}",
    re.IGNORECASE,
)
_NEVER_DRAWN = frozenset(("script", "style", "template", "noscript", "head", "title"))
_ONLY_CLOSED = frozenset(("noscript", "head", "title"))
_EMPTY = frozenset(("area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"))
"""Elements without an end."""
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
        return match[0] if _inside(code, match.start()) else f" {MARK} "

    lines = _SENTENCE.sub(marked, seen.replace(MARK, "|")).splitlines()
    return "\n".join(f"{MARK} {line}".rstrip() for line in lines)


def unmarked(text: str) -> str:
    """Without the marks that a model has copied."""
    return _UNMARKED.sub("", text)


def one_line(text: str) -> str:
    """A title or an address: no line breaks and nothing that does not show."""
    return " ".join(_shown(text.replace(MARK, "|")).split())


def _drawn(prose: str) -> str:
    """Without comments and without elements that a browser does not draw, or so that nobody sees
    them; one that is not closed hides the rest. What inline code shows is no element."""
    code = [match.span() for match in _INLINE_CODE.finditer(prose)] if "<" in prose else []
    pieces: list[str] = []
    at, within, depth, looked = 0, "", 0, 0
    while tag := _TAG.search(prose, looked):
        looked = tag.end()
        if not within and _inside(code, tag.start()):
            continue
        if tag["name"] is None:
            if tag[0] == "<!--":
                end = prose.find("-->", looked)
                looked = end + 3 if end >= 0 else len(prose)
            if not within:
                pieces.append(prose[at : tag.start()])
                at = looked
        elif within:
            depth += (tag["name"].lower() == within) * (-1 if tag["closes"] else 1)
            if not depth:
                at, within = looked, ""
        elif not tag["closes"] and _hides(name := tag["name"].lower(), tag["given"]):
            if name in _ONLY_CLOSED and not _closed(name, prose, looked):
                continue  # named in prose: 'put it into the <title>'
            pieces.append(prose[at : tag.start()])
            at, depth = looked, 1
            within = "" if name in _EMPTY else name
    return "".join(pieces) + ("" if within else prose[at:])


def _inside(spans: Sequence[tuple[int, int]], place: int) -> bool:
    nearest = bisect_right(spans, (place, place)) - 1
    return nearest >= 0 and place < spans[nearest][1]


def _hides(name: str, given: str) -> bool:
    if name in _NEVER_DRAWN or _HIDING.search(given):
        return True
    styles = (unescape(style[1]) for style in _STYLE.finditer(given))
    return any(_UNSEEN.search(_CSS_COMMENT.sub("", style)) for style in styles)


def _closed(name: str, prose: str, start: int) -> bool:
    return re.compile(rf"</{name}\s*>", re.IGNORECASE).search(prose, start) is not None


def _shown(text: str) -> str:
    # A text has many characters and few different ones.
    hidden = [character for character in set(text) if not _shows(character)]
    return text.translate(dict.fromkeys(map(ord, hidden))) if hidden else text


def _shows(character: str) -> bool:
    if character in _JOINERS or character in "\n\t\r":
        return True
    return unicodedata.category(character) not in ("Cf", "Cc", "Co", "Cn", "Cs")
