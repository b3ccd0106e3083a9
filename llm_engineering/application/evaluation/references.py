"""Where a reference is in the text that was indexed.

A reference counts characters of a file as it is on disk; what is indexed is cleaned text. So it
is looked for by its words: as it is, then with any white space, then by aligning the two
texts word by word.

Does not know: where texts come from, how an index ranks them.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

from llm_engineering.application.evaluation.questions import Reference
from llm_engineering.domain.chunks import Span

_WORD = re.compile(r"(\w+)[^\w\s]*")
_LEAST_ALIGNED = 0.5
"""Share of a reference's words that must be found for it to count as located."""
_STRETCH = 1.5
"""An aligned span with this many times the reference's words is a chance alignment."""


@dataclass(frozen=True)
class Texts:
    """One document in two states."""

    written: str
    """As it is on disk: what offsets count in."""
    indexed: str
    """As it was cleaned: what chunks are spans of."""

    def locate(self, reference: Reference) -> Span | None:
        """The reference's span in `indexed`; None where it is not to be found.

        Of several occurrences the one with the same number as in `written`, or else the one
        nearest to the reference's offset. White space around a reference does not matter.
        """
        quote = self.quote(reference)
        for occurrences in (_exact, _with_any_white_space):
            found = occurrences(quote, self.indexed)
            if found:
                return _meant(found, occurrences(quote, self.written), reference.start_index)
        return self._aligned(quote, reference)

    def quote(self, reference: Reference) -> str:
        """The words that are looked for; '' when the offsets lie outside of `written`."""
        if reference.content is not None and reference.content.strip():
            return reference.content
        return self.written[reference.start_index : reference.end_index]

    def _aligned(self, quote: str, reference: Reference) -> Span | None:
        places = _with_any_white_space(quote, self.written)
        if reference.start_index is not None and reference.end_index is not None:
            place = (reference.start_index, reference.end_index)
        elif places:
            place = places[0]
        else:
            return None
        return self._alignment.span(*place)

    @cached_property
    def _alignment(self) -> "_Alignment":
        return _Alignment(self.written, self.indexed)


class _Alignment:
    """Which word of one text is which word of another."""

    def __init__(self, one: str, other: str) -> None:
        ones, others = list(_WORD.finditer(one)), list(_WORD.finditer(other))
        self._starts = [word.start() for word in ones]
        self._ends = [word.end(1) for word in ones]
        self._others = [word.span() for word in others]
        self._counterpart: dict[int, int] = {}
        matcher = SequenceMatcher(None, [word[1] for word in ones], [word[1] for word in others])
        for block in matcher.get_matching_blocks():
            self._counterpart |= {block.a + at: block.b + at for at in range(block.size)}

    def span(self, start: int, end: int) -> Span | None:
        """The other text's span for one's [start, end); None when too few words are aligned."""
        first, last = bisect_left(self._ends, start + 1), bisect_left(self._starts, end)
        found = [self._counterpart[at] for at in range(first, last) if at in self._counterpart]
        words = last - first
        if not found or len(found) < _LEAST_ALIGNED * words:
            return None
        if found[-1] - found[0] + 1 > _STRETCH * words + 1:
            return None
        return self._others[found[0]][0], self._others[found[-1]][1]


def _exact(quote: str, text: str) -> list[Span]:
    found: list[Span] = []
    at = text.find(quote) if quote.strip() else -1
    while at >= 0:
        found.append((at, at + len(quote)))
        at = text.find(quote, at + 1)
    return found


def _with_any_white_space(quote: str, text: str) -> list[Span]:
    words = quote.split()
    if not words:
        return []
    return [found.span() for found in re.finditer(r"\s+".join(map(re.escape, words)), text)]


def _meant(found: Sequence[Span], written: Sequence[Span], start: int | None) -> Span:
    """Which of the occurrences `found` is the one at `start` among those in the written text."""
    if start is None:
        return found[0]
    if len(written) == len(found):
        return found[_nearest(written, start)]
    return found[_nearest(found, start)]


def _nearest(spans: Sequence[Span], start: int) -> int:
    return min(range(len(spans)), key=lambda at: abs(spans[at][0] - start))
