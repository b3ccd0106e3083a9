"""Verbatim: whether a sentence stands in the author's writing, word for word.

Only whole sentences of the author count, as their document has them: a part of one may say the
contrary of the whole ('I doubt that it works'). Of markup, white space, quotation marks, the case
of the first letter and the mark at the end nothing is compared.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm_engineering.application.rag.prompts import LINK_LEFT_OUT
from llm_engineering.application.rag.reading import bare
from llm_engineering.domain.chat import Citation, Passage, Sentence
from llm_engineering.ports.models import SparseEncoder

_DROPPED = re.compile(r"[*`“”„«»\"]|(?<!\w)_+|_+(?!\w)|^\s*(?:[-+]|\d{1,9}[.)])\s+")
_APOSTROPHES = str.maketrans("’‘ʼ", "'''")
_END = " \t\n.!…:;,"
_JOINED = 4
"""Sentences of an answer that may together be one of the author's, or the other way round: not
everybody cuts alike."""
_LEAST_TERMS = 3
"""Words that are no stop words: less may stand anywhere by chance."""
_QUOTED = re.compile(r"^[“\"«]|[”\"»]$")


@dataclass(frozen=True, slots=True)
class Verbatim:
    """The author's sentences, by what is compared of them."""

    sentences: dict[str, Citation]
    sparse: SparseEncoder

    @classmethod
    def of(cls, passages: Sequence[Passage], *, sparse: SparseEncoder) -> "Verbatim":
        found: dict[str, Citation] = {}
        for passage in passages:
            for first, last in _runs(passage):
                quote = passage.quote(first.start, last.end)
                citation = Citation.of(
                    passage.document,
                    start=first.start,
                    end=last.end,
                    quote=quote,
                    heading_path=first.heading_path,
                )
                found.setdefault(compared(quote), citation)
        found.pop("", None)
        return cls(found, sparse)

    def sources(self, text: str, claims: Sequence[tuple[int, int]]) -> list[Citation | None]:
        """For each claim, a span of `text`, the author's sentence that it is or is a part of."""
        found: list[Citation | None] = [None] * len(claims)
        at = 0
        while at < len(claims):
            for count in range(1, min(_JOINED, len(claims) - at) + 1):
                piece = text[claims[at][0] : claims[at + count - 1][1]]
                source = self.sentences.get(compared(piece))
                if source is not None and self._tells(piece):
                    found[at : at + count] = [source] * count
                    at += count - 1
                    break
            at += 1
        return found

    def _tells(self, piece: str) -> bool:
        """Long enough to be no coincidence, or marked as a quotation."""
        terms = self.sparse.query(piece, language="en").indices
        return len(terms) >= _LEAST_TERMS or _QUOTED.search(piece.strip()) is not None


def _runs(passage: Passage) -> Iterator[tuple[Sentence, Sentence]]:
    """Each sentence, and the first and last of those that follow each other with nothing between:
    an answer may be cut in fewer places than the document."""
    for at, first in enumerate(passage.sentences):
        last = first
        yield first, last
        for following in passage.sentences[at + 1 : at + _JOINED]:
            if passage.quote(last.end, following.start).strip():
                break
            last = following
            yield first, last


def compared(text: str) -> str:
    """What is left of a sentence to compare."""
    plain = bare(text.replace(LINK_LEFT_OUT, " ")).translate(_APOSTROPHES)
    plain = " ".join(_DROPPED.sub("", plain).split()).strip(_END)
    return plain[:1].casefold() + plain[1:]
