"""Verbatim: whether a sentence stands in the author's writing, word for word.

Only whole sentences of the author count, as their document has them: a part of one may say the
contrary of the whole ('I doubt that it works'). Of emphasis, white space, quotation marks around
the whole, the case of the first letter and the mark at the end nothing is compared. Code counts
character by character; a link may be left out, but not lead elsewhere.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm_engineering.application.rag.prompts import LINK_LEFT_OUT
from llm_engineering.application.rag.tokens import INLINE_CODE, bare, uncited
from llm_engineering.domain.chat import Citation, Passage, Sentence
from llm_engineering.ports.models import SparseEncoder

_CODE = re.compile(f"({INLINE_CODE})")
_EMPHASIS = re.compile(r"[*_]+")
_WORDED = re.compile(r"\w")
_LIST_MARK = re.compile(r"^\s*(?:[-+*]|\d{1,9}[.)])\s+")
_QUOTES = str.maketrans("“”„«»", '"' * 5)
_ADDRESS = re.compile(r"https?://[^\s<>()\[\]\"'`]+|(?<=\]\()[^)\s]{1,2000}")
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

    sentences: dict[str, list[Citation]]
    """More than one where only the addresses differ."""
    sparse: SparseEncoder

    @classmethod
    def of(cls, passages: Sequence[Passage], *, sparse: SparseEncoder) -> "Verbatim":
        found: dict[str, list[Citation]] = {}
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
                found.setdefault(compared(quote), []).append(citation)
        found.pop("", None)
        return cls(found, sparse)

    def sources(self, text: str, claims: Sequence[tuple[int, int]]) -> list[Citation | None]:
        """For each claim, a span of `text`, the author's sentence that it is or is a part of."""
        found: list[Citation | None] = [None] * len(claims)
        at = 0
        while at < len(claims):
            for count in range(1, min(_JOINED, len(claims) - at) + 1):
                piece = text[claims[at][0] : claims[at + count - 1][1]]
                source = self._source(piece)
                if source is not None and self._tells(piece):
                    found[at : at + count] = [source] * count
                    at += count - 1
                    break
            at += 1
        return found

    def _source(self, piece: str) -> Citation | None:
        leads_to = addresses(piece)
        for form in dict.fromkeys((piece, uncited(piece))):
            for each in self.sentences.get(compared(form), ()):
                if leads_to <= addresses(each.quote):
                    return each
        return None

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
    pieces = _CODE.split(_LIST_MARK.sub("", text.strip().replace(LINK_LEFT_OUT, " ")))
    pieces[1::2] = [code[1:-1] for code in pieces[1::2]]
    pieces[::2] = [_plain(prose) for prose in pieces[::2]]
    whole = " ".join("".join(pieces).split())
    whole = _unquoted(whole.strip(_END)).strip(_END)
    return whole[:1].casefold() + whole[1:] if pieces[0].strip() else whole


def _plain(prose: str) -> str:
    return _EMPHASIS.sub(_marked, bare(prose).translate(_APOSTROPHES)).translate(_QUOTES)


def _marked(run: re.Match[str]) -> str:
    """Nothing where it begins or ends an emphasis; '2 * 3' and 'a_b' stay."""
    before, behind = (
        run.string[run.start() - 1 : run.start()],
        run.string[run.end() : run.end() + 1],
    )
    opens = not _WORDED.match(before) and behind.strip() != ""
    closes = before.strip() != "" and not _WORDED.match(behind)
    return "" if opens or closes else run[0]


def _unquoted(text: str) -> str:
    """Without quotation marks around the whole of it."""
    inner = text[1:-1]
    return inner if text[:1] == text[-1:] == '"' and '"' not in inner else text


def addresses(text: str) -> set[str]:
    """Where its links lead."""
    return {each.rstrip(".,;:!?") for each in _ADDRESS.findall(text)}
