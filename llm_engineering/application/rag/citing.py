"""Turns the `[n]` marks of a generated answer into citations that can be checked, as it is said.

A mark says which passage; the statement in it is the one that shares the most words with what the
mark stands behind, and the whole passage when none shares any. Whether the statement supports the
claim is not known here.
"""

import math
import re
from collections.abc import Sequence

from llm_engineering.domain.chat import Citation, Passage
from llm_engineering.ports.models import SparseEncoder

_MARK = re.compile(
    r"(?P<code>```.*?(?:```|\Z)|`[^`\n]*`)|\[(?P<numbers>\d\d?(?:\s*[,;]\s*\d\d?)*)\](?!\()",
    re.DOTALL,
)
_FENCE = "```"
_OPEN = re.compile(r" *(?:\[[\d\s,;]{0,60}|`[^`\n]*|``)?\Z")
"""What more text could make a mark or code of, with the spaces that go with a mark."""
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
_CLAIM = 1_000
"""Characters before a mark that are looked at, at most."""


def cited(
    text: str, passages: Sequence[Passage], *, sparse: SparseEncoder
) -> tuple[str, tuple[Citation, ...]]:
    """The text with its marks counting through the citations, and these.

    A mark that points at no passage is taken out; code is left alone.
    """
    citing = CitingText(passages, sparse=sparse)
    return citing.feed(text) + citing.end(), citing.citations


class CitingText:
    """Text that arrives in pieces, each given on as soon as no more text can change it.

    However it is cut, the pieces together and the citations are the same.
    """

    def __init__(self, passages: Sequence[Passage], *, sparse: SparseEncoder) -> None:
        self._passages = passages
        self._sparse = sparse
        self._numbers: dict[Citation, int] = {}
        self._pending = ""
        self._since = ""
        """What was given on since the last mark."""
        self._claim = ""
        self._fenced = False
        """Whether what comes next is code, up to a fence."""

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Of the marks so far; a mark's number is the place in here."""
        return tuple(self._numbers)

    def feed(self, text: str) -> str:
        """The next piece to show; '' when that depends on what follows."""
        self._pending += text
        return self._given(_settled(self._pending, fenced=self._fenced))

    def end(self) -> str:
        """What was still held back; nothing follows."""
        return self._given(len(self._pending))

    def _given(self, length: int) -> str:
        text, self._pending = self._pending[:length], self._pending[length:]
        code = ""
        if self._fenced:
            code, fence, text = text.partition(_FENCE)
            code += fence
            self._fenced = not fence
            self._since += code
        return code + self._marked(text)

    def _marked(self, text: str) -> str:
        pieces: list[str] = []
        at = 0
        for match in _MARK.finditer(text):
            if match["code"]:
                whole = match["code"]
                opens = whole.startswith(_FENCE)
                self._fenced = opens and not (len(whole) >= 6 and whole.endswith(_FENCE))
                continue
            before = text[at : match.start()]
            self._claim = _last_sentence((self._since + before)[-_CLAIM:]) or self._claim
            self._since = ""
            numbers = self._cite(match["numbers"])
            pieces.append(before if numbers else before.rstrip(" "))
            pieces += (f"[{number}]" for number in dict.fromkeys(numbers))
            at = match.end()
        self._since += text[at:]
        return "".join([*pieces, text[at:]])

    def _cite(self, numbers: str) -> list[int]:
        """The citations' numbers for the passages' ones."""
        return [
            self._numbers.setdefault(
                _citation(self._claim, self._passages[int(said) - 1], self._sparse),
                len(self._numbers) + 1,
            )
            for said in re.findall(r"\d+", numbers)
            if 1 <= int(said) <= len(self._passages)
        ]


def _settled(text: str, *, fenced: bool) -> int:
    """Characters of `text` that mean the same whatever follows."""
    begin = 0
    if fenced:
        begin = text.find(_FENCE) + len(_FENCE)
        if begin < len(_FENCE):
            return len(text) - _ticks(text)
    for match in _MARK.finditer(text, begin):
        whole = match[0]
        tick = text.find("`", begin, match.start())
        if tick >= 0 and "\n" not in text[tick:]:  # code may yet begin there
            return tick
        if match.end() < len(text):
            begin = match.end()
        elif whole.startswith(_FENCE):  # the last match, at the end
            closed = len(whole) >= 6 and whole.endswith(_FENCE)
            inside = len(text) - _ticks(whole[len(_FENCE) :])
            return len(text) if closed else inside
        elif match["code"] and whole != "``":
            return len(text)
        else:
            return len(text[: match.start()].rstrip(" "))
    found = _OPEN.search(text, begin)
    return found.start() if found else len(text)


def _ticks(code: str) -> int:
    """How many of its last characters may be the beginning of the fence that ends it."""
    return len(code) - len(code.rstrip("`"))


def _last_sentence(before: str) -> str:
    parts = _SENTENCE_END.split(before.rstrip(" .!?…\n"))
    return parts[-1].strip(" .,;:")


def _citation(claim: str, passage: Passage, sparse: SparseEncoder) -> Citation:
    start, end, heading_path = passage.start, passage.end, passage.heading_path
    best = 0.0
    terms = set(sparse.query(claim).indices.tolist())
    for statement in passage.sentences:
        quote = passage.quote(statement.start, statement.end)
        held = set(sparse.query(quote, language=passage.document.language).indices.tolist())
        if (score := _likeness(terms, held)) > best:
            best = score
            start, end, heading_path = statement.start, statement.end, statement.heading_path
    quote = passage.quote(start, end)
    return Citation.of(
        passage.document,
        start=start,
        end=start + len(quote.rstrip()),
        quote=quote.rstrip(),
        heading_path=heading_path,
    )


def _likeness(one: set[int], other: set[int]) -> float:
    """Cosine of two sets."""
    shared = len(one & other)
    return shared / math.sqrt(len(one) * len(other)) if shared else 0.0
