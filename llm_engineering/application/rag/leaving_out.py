"""Leaving out: whether a sentence is its evidence with no more than harmless things left out.

Word by word, small words included: each clause of the sentence is laid along the evidence's
sentence that has the most of it, and what was put in, left out or cut off must be harmless where
it stands. Every rule can only refuse. Does not know: who speaks, how sure (`roles.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from llm_engineering.application.rag.english import (
    AMOUNTS,
    ARTICLES,
    BE,
    BOUNDS,
    BREAKS,
    COPULAS,
    CURRENCIES,
    FACTIVES,
    FILLERS,
    GLUE,
    HEDGES,
    LIGHT,
    MODALS,
    NEGATIONS,
    PREPOSITIONS,
    PRONOUNS,
    SUBJECTS,
    SUBORDINATE,
    WHEN,
)
from llm_engineering.application.rag.reading import Reader
from llm_engineering.application.rag.tokens import Token

_CONTRACTED = {"ll": "will", "ve": "have", "re": "are", "m": "am"}
_DENIED = {"cant": "can", "cannot": "can", "wont": "will"}
_FEW = 3
_SIGNS = "$€£~"
_JOINTS = (BREAKS - SUBORDINATE) | frozenset(
    ("then", "also", "too", "though", "here", "there", "now")
)
"""May begin a clause of the evidence and be left out."""
_TELLING = (
    NEGATIONS | HEDGES | AMOUNTS | BOUNDS | SUBORDINATE | MODALS.keys() | frozenset(("only",))
)
"""Never left out: without one, a statement says more, or the contrary."""


@dataclass(frozen=True, slots=True)
class _Laid:
    """A clause of the claim along a sentence of the evidence."""

    claim: Sequence[Token]
    evidence: Sequence[Token]
    pairs: tuple[tuple[int, int], ...]
    """Places of the same word in both, ascending in both."""


def left_out(
    claim: Sequence[Token], evidence: Sequence[Sequence[Token]], *, reader: Reader
) -> Iterator[str]:
    """What was put in, left out or cut off and is not harmless. `evidence` by sentences."""
    evidence = [_spelt_out(sentence) for sentence in evidence]
    before: _Laid | None = None
    told: list[_Laid] = []
    for clause in _clauses(_spelt_out(claim)):
        if all(_harmless(token, reader) for token in clause):
            continue
        laid = max(
            (_lay(clause, sentence, reader) for sentence in evidence),
            key=lambda each: len(each.pairs),
        )
        if not laid.pairs:
            yield f"nowhere {clause[0].text}"
            return
        yield from _put_in(laid)
        yield from _skipped(laid, reader)
        yield from _formed(laid)
        yield from _begun(laid, before, reader)
        yield from _cut_off(laid, reader)
        before = laid
        told.append(laid)
    yield from _half_conditions(told)


def _spelt_out(tokens: Sequence[Token]) -> list[Token]:
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


def _clauses(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    for number in dict.fromkeys(token.clause for token in tokens):
        clause = [t for t in tokens if t.clause == number and t.kind != "break"]
        if clause:
            yield clause


def _lay(claim: Sequence[Token], evidence: Sequence[Token], reader: Reader) -> _Laid:
    """By the chain of same words that is longest and has the fewest and shortest gaps."""
    same = [
        (i, j)
        for i, one in enumerate(claim)
        for j, other in enumerate(evidence)
        if _same(one, other, reader)
    ]
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
    return _Laid(claim, evidence, tuple(reversed(chain)))


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
    return one.text == other.text or (bool(a) and b in reader.alike(a))


def _put_in(laid: _Laid) -> Iterator[str]:
    matched = {i for i, _ in laid.pairs}
    for at, token in enumerate(laid.claim):
        if at in matched or token.text in GLUE or token.text.endswith("ly"):
            continue
        before = laid.claim[at - 1].text if at else ""
        joined = before in PRONOUNS and token.text in COPULAS
        if not joined and token.text not in CURRENCIES:
            yield f"put in {token.text}"


def _skipped(laid: _Laid, reader: Reader) -> Iterator[str]:
    for (_, one), (_, other) in zip(laid.pairs, laid.pairs[1:], strict=False):
        gap = laid.evidence[one + 1 : other]
        if gap and not _may_go(laid.evidence[one], gap, laid.evidence[other], reader):
            yield f"left out {gap[0].text}"


def _may_go(before: Token, gap: Sequence[Token], behind: Token, reader: Reader) -> bool:
    if any(token.text in _TELLING for token in gap):
        return False
    if all(_harmless(token, reader) for token in gap):
        return True
    if len(gap) <= _FEW and _describes(gap, behind, reader):
        return True
    if before.text in SUBJECTS and gap[-1].text in ("and", "then", "but"):
        return True  # 'I stopped it and moved the files'
    begins = gap[0].kind == "break" or gap[0].text in BREAKS | PREPOSITIONS
    ends = gap[-1].kind == "break" or behind.text in BREAKS | PREPOSITIONS
    return begins and ends


def _describes(gap: Sequence[Token], behind: Token, reader: Reader) -> bool:
    """'the slow import', 'the import of rows': the thing itself stays. Not so 'the copy of the
    import' and 'the import log', and what stands before 'to' tells what became of it."""
    if gap[-1].text == "to" or any(each.kind != "word" for each in gap):
        return False
    if gap[0].text in PREPOSITIONS or gap[0].text == "of":
        return True
    named = behind.kind == "name" or (behind.kind == "word" and bool(reader.key(behind.text)))
    return named and all(each.text != "of" for each in gap)


def _formed(laid: _Laid) -> Iterator[str]:
    """'I thought of moving it' is not 'I moved it'."""
    for i, j in laid.pairs:
        one, other = laid.claim[i].text, laid.evidence[j].text
        if other.endswith("ing") and one != other and not one.endswith("ing"):
            before = (token.text for token in laid.evidence[max(j - 3, 0) : j])
            if not any(text in BE for text in before):
                yield f"{one} for {other}"


def _begun(laid: _Laid, before: _Laid | None, reader: Reader) -> Iterator[str]:
    """In the middle of a clause: what it is said of is another, or not there."""
    first, place = laid.pairs[0]
    clause = laid.evidence[place].clause
    lost = [t for t in laid.evidence[:place] if t.clause == clause and t.kind != "break"]
    led = {token.text for token in laid.claim[:first]} & PRONOUNS
    if led and lost and all(t.text in PRONOUNS | _JOINTS for t in lost):
        if before is not None and not _next_to(before, laid, clause):
            yield f"of another {laid.claim[first].text}"
        return
    if {t.text for t in lost} & FACTIVES:
        lost = [t for t in lost if t.text not in FACTIVES and t.text not in SUBJECTS]
    if any(t.text not in _JOINTS and not _harmless(t, reader) for t in lost):
        yield f"begun at {laid.claim[first].text}"
    elif led and before is not None and not _next_to(before, laid, clause):
        yield f"of another {laid.claim[first].text}"


def _next_to(before: _Laid, laid: _Laid, clause: int) -> bool:
    last = before.evidence[before.pairs[-1][1]].clause
    named = {
        token.clause for token in laid.evidence if token.kind != "break" and token.clause < clause
    }
    return before.evidence is laid.evidence and last >= max(named, default=0)


def _half_conditions(told: Sequence[_Laid]) -> Iterator[str]:
    """'When it fails and nobody looks' is more than 'when it fails'."""
    for laid in told:
        spoken = {
            each.evidence[place].clause
            for each in told
            if each.evidence is laid.evidence
            for _, place in each.pairs
        }
        begins = {t.clause: t for t in reversed(laid.evidence) if t.kind != "break"}
        for token in laid.evidence:
            further = begins.get(token.clause + 1)
            if token.text not in SUBORDINATE or token.clause not in spoken or further is None:
                continue
            if further.text in ("and", "or") and further.clause not in spoken:
                yield f"half of {token.text}"


def _cut_off(laid: _Laid, reader: Reader) -> Iterator[str]:
    place = laid.pairs[-1][1]
    rest = [
        token
        for token in laid.evidence[place + 1 :]
        if token.clause == laid.evidence[place].clause and token.kind != "break"
    ]
    if not rest:
        return
    if any(token.text in _TELLING for token in rest):
        yield f"cut off {next(t.text for t in rest if t.text in _TELLING)}"
    elif rest[0].text not in PREPOSITIONS | WHEN and not _harmless(rest[0], reader):
        yield f"cut off {rest[0].text}"


def _harmless(token: Token, reader: Reader) -> bool:
    """Says hardly anything where it stands."""
    if token.kind == "break":
        return True
    if token.kind != "word" or token.text in _TELLING:
        return False
    return (
        token.text in GLUE | FILLERS
        or token.text.endswith("ly")
        or (token.text in LIGHT and token.text not in COPULAS and not reader.key(token.text))
    )
