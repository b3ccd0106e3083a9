"""Laying: the words of one sentence along those of another, small words included.

Does not know: what a difference means (`leaving_out.py`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from llm_engineering.application.rag.english import NEGATIONS, SUBJECTS
from llm_engineering.application.rag.english_parts import ARTICLES
from llm_engineering.application.rag.reading import Reader
from llm_engineering.application.rag.tokens import Token

_CONTRACTED = {"ll": "will", "ve": "have", "re": "are", "m": "am"}
_DENIED = {"cant": "can", "cannot": "can", "wont": "will"}
_ENDING = re.compile(r"(?<=\w\w)(?:i?ed|i?es|y|s|ing|ly|e)$")
_MOST = 500
"""Pairs of same words; a clause and a sentence that are read by people have some forty."""
_SIGNS = "<>$€£~"


@dataclass(frozen=True, slots=True)
class Laid:
    """A clause of the claim along a sentence of the evidence."""

    claim: Sequence[Token]
    evidence: Sequence[Token]
    pairs: tuple[tuple[int, int], ...]
    """Places of the same word in both, ascending in both."""


def spelt_out(tokens: Sequence[Token]) -> list[Token]:
    """'I'll' and 'don't' as two words each."""
    found: list[Token] = []
    for token in tokens:
        text = token.text
        said = _CONTRACTED.get(token.clitic, "")
        if token.clitic == "s" and text in SUBJECTS:
            said = "is"
        if text in NEGATIONS and (text.endswith("nt") or text in _DENIED):
            text, said = _DENIED.get(text, text[:-2]), "not"
        found.append(replace(token, text=text, clitic=""))
        if said:
            found.append(replace(token, text=said, clitic="", kind="word", capital=False))
    return found


def clauses_of(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    for number in dict.fromkeys(token.clause for token in tokens):
        clause = [t for t in tokens if t.clause == number and t.kind != "break"]
        if clause:
            yield clause


def lay(claim: Sequence[Token], evidence: Sequence[Token], reader: Reader) -> Laid:
    """By the chain of same words that is longest and has the fewest and shortest gaps."""
    same = [
        (i, j)
        for i, one in enumerate(claim)
        for j, other in enumerate(evidence)
        if _same(one, other, reader)
    ]
    if len(same) > _MOST:
        return Laid(claim, evidence, ())
    worth: list[float] = []
    came: list[int] = []
    for at, (i, j) in enumerate(same):
        best, before = 0.0, -1
        for earlier in range(at):
            up, left = i - same[earlier][0], j - same[earlier][1]
            if up > 0 and left > 0 and (value := worth[earlier] - _gap(up, left)) > best:
                best, before = value, earlier
        worth.append(1 + best)
        came.append(before)
    chain: list[tuple[int, int]] = []
    at = max(range(len(same)), key=worth.__getitem__, default=-1)
    while at >= 0:
        chain.append(same[at])
        at = came[at]
    return Laid(claim, evidence, tuple(reversed(chain)))


def _gap(claim: int, evidence: int) -> float:
    """What words in between cost, in matched words."""
    return 0.0 if claim == evidence == 1 else 0.3 + 0.02 * (claim + evidence)


def _same(one: Token, other: Token, reader: Reader) -> bool:
    if "break" in (one.kind, other.kind):
        return False
    if "number" in (one.kind, other.kind):
        return one.text.lstrip(_SIGNS) == other.text.lstrip(_SIGNS) and one.unit == other.unit
    if one.text in ARTICLES:
        return other.text in ARTICLES
    a, b = reader.key(one.text), reader.key(other.text)
    if not a or one.text == other.text:
        return one.text == other.text
    # A stem is too short for some: 'dependents' and 'dependencies'.
    return _bent(one.text) == _bent(other.text) if a == b else b in reader.alike(a)


def _bent(word: str) -> str:
    """Without what number and tense put at its end."""
    bare = _ENDING.sub("", word)
    return bare[:-1] if bare[-2:-1] == bare[-1:] else bare
