"""Leaving out: whether a sentence is its evidence with no more than harmless things left out.

Word by word, small words included: each clause of the sentence is laid along the evidence's
sentence that has the most of it, and what was put in, left out or cut off must be harmless where
it stands. Every rule can only refuse. Does not know: who speaks, how sure (`roles.py`).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from llm_engineering.application.rag.english import (
    BE,
    BREAKS,
    CURRENCIES,
    LIGHT,
    NUMBERS,
    OWNERS,
    REPORTING,
    SUBJECTS,
    SUBORDINATE,
)
from llm_engineering.application.rag.english_parts import (
    ARTICLES,
    AUXILIARIES,
    BEFORE_NOUNS,
    CO_ORDINATING,
    COMPLEMENTS,
    COPULAS,
    FACTIVES,
    FILLERS,
    GLUE,
    GOVERNING,
    HARD_BREAKS,
    JOINTS,
    NARROWING,
    ORDINALS,
    PREPOSITIONS,
    PRONOUNS,
    SWEEPING,
    TELLING,
    WHEN,
)
from llm_engineering.application.rag.laying import Laid, clauses_of, lay, spelt_out
from llm_engineering.application.rag.reading import Reader
from llm_engineering.application.rag.tokens import Token

_FEW = 3
"""Words that may describe a thing."""
_LONGEST = 300
"""Words and breaks of a sentence of the evidence; a longer one was not cut where it ends."""


def left_out(
    claim: Sequence[Token], evidence: Sequence[Sequence[Token]], *, reader: Reader
) -> Iterator[str]:
    """What was put in, left out or cut off and is not harmless. `evidence` by sentences."""
    evidence = [spelt_out(sentence) for sentence in evidence if len(sentence) <= _LONGEST]
    if not evidence:
        yield "long"
        return
    before: Laid | None = None
    told: list[Laid] = []
    for clause in clauses_of(spelt_out(claim)):
        if all(_harmless(token, reader) for token in clause):
            continue
        laid = max(
            (lay(clause, sentence, reader) for sentence in evidence),
            key=lambda each: len(each.pairs),
        )
        if not laid.pairs:
            yield f"nowhere {clause[0].text}"
            return
        yield from _put_in(laid)
        yield from _skipped(laid, reader)
        yield from _formed(laid)
        yield from _begun(laid, before, reader)
        yield from _hung(laid, before)
        yield from _cut_off(laid, reader)
        before = laid
        told.append(laid)
    yield from _narrowed(told)
    yield from _unsaid_attitudes(told)


def _put_in(laid: Laid) -> Iterator[str]:
    matched = {i for i, _ in laid.pairs}
    for at, token in enumerate(laid.claim):
        if at in matched or token.text in GLUE or token.text.endswith("ly"):
            continue
        before = laid.claim[at - 1].text if at else ""
        joined = before in PRONOUNS and token.text in COPULAS
        if not joined and token.text not in CURRENCIES:
            yield f"put in {token.text}"


def _skipped(laid: Laid, reader: Reader) -> Iterator[str]:
    for (_, one), (_, other) in pairwise(laid.pairs):
        gap = laid.evidence[one + 1 : other]
        if not gap or all(_harmless(token, reader) for token in gap):
            continue
        behind = laid.evidence[other]
        narrows = _sweeping(laid) or _tells_which(laid, one, gap, behind)
        if narrows or not _may_go(laid.evidence[one], gap, behind, reader):
            yield f"left out {gap[0].text}"


def _sweeping(laid: Laid) -> bool:
    """It denies, or tells of all: the less is said of which, the more is told."""
    clauses = {laid.evidence[place].clause for _, place in laid.pairs}
    told = {token.text for token in laid.evidence if token.clause in clauses}
    return bool(told & SWEEPING)


def _tells_which(laid: Laid, place: int, gap: Sequence[Token], behind: Token) -> bool:
    """'Users with admin rights can', 'the encrypted backups are', 'I delete empty folders'."""
    if gap[0].kind == "break" or gap[0].text in BREAKS:
        return False
    clause = laid.evidence[place].clause
    before = [token.text for token in laid.evidence[: place + 1] if token.clause == clause]
    if gap[0].text in PREPOSITIONS:
        return behind.text in AUXILIARIES and not SUBJECTS.keys() & set(before)
    if _goes_on(laid.evidence[place], gap):
        return False
    determined = before[-1] in ARTICLES | OWNERS.keys() | NUMBERS.keys()
    return not determined or all(each in BEFORE_NOUNS for each in before)


def _may_go(before: Token, gap: Sequence[Token], behind: Token, reader: Reader) -> bool:
    if any(token.text in TELLING | REPORTING | ORDINALS for token in gap):
        return False
    core = [token for token in gap if token.text not in FILLERS]
    if core and (core[-1].text in OWNERS or (core[0].text == "but" and len(core) > 1)):
        return False  # 'their own posts', 'all but one'
    if gap[0].text in NARROWING:
        return False
    if len(gap) <= _FEW and _describes(gap, behind, reader):
        return True
    if _goes_on(before, gap):
        return True
    begins = gap[0].kind == "break" or gap[0].text in BREAKS | PREPOSITIONS
    ends = gap[-1].kind == "break" or behind.text in BREAKS | PREPOSITIONS
    return begins and ends


def _goes_on(before: Token, gap: Sequence[Token]) -> bool:
    """'I stopped it and moved the files'."""
    return before.text in SUBJECTS and gap[-1].text in ("and", "then", "but")


def _describes(gap: Sequence[Token], behind: Token, reader: Reader) -> bool:
    """'the slow import', 'the import of rows': the thing itself stays. Not so 'the copy of the
    import' and 'the import log', and what stands before 'to' tells what became of it."""
    if gap[-1].text == "to" or any(each.kind != "word" for each in gap):
        return False
    if gap[0].text in PREPOSITIONS:
        return True
    named = behind.kind == "name" or (behind.kind == "word" and bool(reader.key(behind.text)))
    return named and all(each.text != "of" for each in gap)


def _formed(laid: Laid) -> Iterator[str]:
    """'I thought of moving it' is not 'I moved it'."""
    for i, j in laid.pairs:
        one, other = laid.claim[i].text, laid.evidence[j].text
        if other.endswith("ing") and one != other and not one.endswith("ing"):
            before = (token.text for token in laid.evidence[max(j - 3, 0) : j])
            if not any(text in BE for text in before):
                yield f"{one} for {other}"


def _begun(laid: Laid, before: Laid | None, reader: Reader) -> Iterator[str]:
    """In the middle of a clause: what it is said of is another, or not there."""
    first, place = laid.pairs[0]
    clause = laid.evidence[place].clause
    lost = [t for t in laid.evidence[:place] if t.clause == clause and t.kind != "break"]
    led = {token.text for token in laid.claim[:first]} & PRONOUNS
    if led and lost and all(t.text in PRONOUNS | JOINTS for t in lost):
        if before is not None and not _next_to(before, laid, clause):
            yield f"of another {laid.claim[first].text}"
        return
    if {t.text for t in lost} & FACTIVES:
        lost = [t for t in lost if t.text not in FACTIVES and t.text not in SUBJECTS]
    if any(t.text not in JOINTS and not _harmless(t, reader) for t in lost):
        yield f"begun at {laid.claim[first].text}"
    elif led and before is not None and not _next_to(before, laid, clause):
        yield f"of another {laid.claim[first].text}"


def _hung(laid: Laid, before: Laid | None) -> Iterator[str]:
    """On a verb that does not say that it is so, or on a part of another sentence."""
    elsewhere = before is not None and before.evidence is not laid.evidence
    if elsewhere and laid.claim[0].text not in CO_ORDINATING:
        yield f"from elsewhere {laid.claim[0].text}"
    clause = laid.evidence[laid.pairs[0][1]].clause
    begins = next(at for at, token in enumerate(laid.evidence) if token.clause == clause)
    if not begins or laid.evidence[begins].text not in COMPLEMENTS:
        return
    told = before.pairs if before is not None and not elsewhere else ()
    verb = laid.evidence[begins - 1]
    known = verb.kind != "word" or verb.text in FACTIVES
    if not known and not any(begins - 2 <= at < begins for _, at in told):
        yield f"hung on {verb.text}"


def _next_to(before: Laid, laid: Laid, clause: int) -> bool:
    last = before.evidence[before.pairs[-1][1]].clause
    named = {
        token.clause for token in laid.evidence if token.kind != "break" and token.clause < clause
    }
    return before.evidence is laid.evidence and last >= max(named, default=0)


def _narrowed(told: Sequence[Laid]) -> Iterator[str]:
    """Without 'that start with a hash' more comments are meant, and 'when it fails and nobody
    looks' is more than 'when it fails'."""
    for laid in told:
        spoken = _spoken(told, laid.evidence)
        last = laid.pairs[-1][1]
        conditions: dict[int, set[str]] = {}
        for token in laid.evidence:
            conditions.setdefault(token.clause, set()).update({token.text} & SUBORDINATE)
        for at, token in enumerate(laid.evidence):
            unsaid = token.clause not in spoken
            if at == last + 1 and unsaid and token.text in NARROWING:
                yield f"without {token.text}"
            held = conditions.get(token.clause - 1) if token.clause - 1 in spoken else None
            if held and unsaid and token.text in ("and", "or"):
                yield f"half of {min(held)}"


def _spoken(told: Sequence[Laid], evidence: Sequence[Token]) -> set[int]:
    """Clauses of a sentence that the claim has something of."""
    return {
        evidence[place].clause
        for each in told
        if each.evidence is evidence
        for _, place in each.pairs
    }


def _unsaid_attitudes(told: Sequence[Laid]) -> Iterator[str]:
    """'Presumably because', 'I think it is because', 'Dimmed, it is': what hangs on one is not
    said without it."""
    for laid in told:
        here = {place for each in told if each.evidence is laid.evidence for _, place in each.pairs}
        first = laid.pairs[0][1]
        clause = laid.evidence[first].clause
        worded = [t.clause for t in laid.evidence[:first] if t.kind != "break"]
        earlier = max((each for each in worded if each < clause), default=clause)
        for place in range(first - 1, -1, -1):
            token = laid.evidence[place]
            if place in here or token.text in HARD_BREAKS:
                break
            dimmed = place == 0 and token.text.endswith("ed")
            near = token.clause >= earlier and (dimmed or token.text in GOVERNING)
            if near or token.text in ("if", "unless", "whether"):
                yield f"unsaid {token.text}"


def _cut_off(laid: Laid, reader: Reader) -> Iterator[str]:
    place = laid.pairs[-1][1]
    rest = [
        token
        for token in laid.evidence[place + 1 :]
        if token.clause == laid.evidence[place].clause and token.kind != "break"
    ]
    if not rest:
        return
    if any(token.text in TELLING for token in rest):
        yield f"cut off {next(t.text for t in rest if t.text in TELLING)}"
    elif _sweeping(laid) and any(not _harmless(token, reader) for token in rest):
        yield f"cut off {rest[0].text}"
    elif rest[0].text == "for" and _measures(laid.evidence[:place]):
        yield "cut off for"
    elif rest[0].text not in PREPOSITIONS | WHEN and not _harmless(rest[0], reader):
        yield f"cut off {rest[0].text}"


def _measures(before: Sequence[Token]) -> bool:
    """'too slow for', 'is fast for': by a measure that must be told."""
    near = {token.text for token in before[-2:]}
    return bool(near & BE or {token.text for token in before} & {"too", "enough"})


def _harmless(token: Token, reader: Reader) -> bool:
    """Says hardly anything where it stands."""
    if token.kind == "break":
        return True
    if token.kind != "word" or token.text in TELLING:
        return False
    return (
        token.text in GLUE | FILLERS
        or token.text.endswith("ly")
        or (token.text in LIGHT and token.text not in COPULAS and not reader.key(token.text))
    )
