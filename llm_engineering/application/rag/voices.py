"""Voices: of each word of a sentence who does it, whose it is, who says so, and whether it is so.

A claim may have every word of its evidence and still tell it of somebody else, as a fact where
somebody only said it, or as done where it is only planned. English, and by the words around: a
subject is the pronoun before a verb, or a noun where there is none.

Does not know: which words are compared, what a difference means (`objections.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llm_engineering.application.rag.english import (
    AMOUNTS,
    BE,
    BOUNDS,
    BREAKS,
    FUTURES,
    LIGHT,
    MODALS,
    OBJECTS,
    OTHER_WAY,
    OWNERS,
    RELATIVES,
    REPORTING,
    SUBJECTS,
    TENSES,
    Person,
)
from llm_engineering.application.rag.tokens import Token

_NEAR = 2
"""Words between a subject and its verb, at most."""
_SPEECH = 4
"""Words between quotation marks that are somebody's speech; fewer are a name or a remark."""
_JOINING = frozenset(("so", "and", "but"))


@dataclass(frozen=True, slots=True)
class Voice:
    """Of one word."""

    subject: Person = ""
    """Who does it; '' for an order, and where nothing is before it."""
    acts: bool = False
    """The subject is a pronoun right before it, so that it is most likely a verb."""
    owner: Person = ""
    """Whose it is, where that stands before it."""
    object: Person = ""
    """To whom, where a pronoun stands behind it."""
    direction: str = ""
    """'from', 'to', 'with', 'without', where one stands before it."""
    bound: str = ""
    """Of a number: 'over', 'least', 'than' where it is not the number itself."""
    reported: bool = False
    """Somebody else says so, or it is between quotation marks."""
    moods: frozenset[str] = frozenset()
    """Of its clause: `formerly`, `future`, `can`, `should`, `must`, and of how many it tells."""
    tense: str = ""
    """Of its clause: `past` or `present`, where a word says so and none the other."""


def voices(tokens: Sequence[Token], *, stop: Callable[[str], bool]) -> list[Voice]:
    """One for each token; `stop` knows the words that name nothing."""
    subjects, acts = _subjects(tokens, stop)
    moods = _by_clause(tokens, _mood)
    tenses = _by_clause(tokens, _tense)
    reported = _reported(tokens, subjects)
    return [
        Voice(
            subjects[at],
            acts[at],
            _owner(tokens, at),
            _object(tokens, at),
            _direction(tokens, at),
            _bound(tokens, at),
            reported[at],
            frozenset(moods.get(token.clause, ())),
            "".join(found) if len(found := tenses.get(token.clause, set())) == 1 else "",
        )
        for at, token in enumerate(tokens)
    ]


@dataclass(slots=True)
class _Clause:
    """What was read of a clause so far."""

    inherited: Person
    """The subject of the one before, which this one may go on with."""
    own: Person = ""
    since: int = 0
    """Words that name something, since its own subject, or since it began."""
    named: bool = False
    doing: bool = False
    """The word right before does or names something: a pronoun behind it may be its object."""

    def subject(self) -> Person:
        if self.own:
            return "noun" if self.named or self.since > _NEAR else self.own
        return "noun" if self.since else self.inherited

    def acts(self) -> bool:
        return bool(self.own) and not self.since

    def add(self, token: Token, *, stop: Callable[[str], bool]) -> None:
        person = SUBJECTS.get(token.text, "")
        if person and not (self.doing and person in ("you", "it")):
            self.own, self.since, self.named = person, 0, False
        elif token.text in RELATIVES:
            self.inherited = "it"
        elif token.kind != "word" or (token.capital and not token.first):
            self.since, self.named = self.since + 1, True
        elif _may_act(token) and not stop(token.text):
            self.since += 1
        self.doing = not stop(token.text) or token.text in LIGHT


def _may_act(token: Token) -> bool:
    """No name, and neither joins clauses nor says how."""
    if token.kind != "word" or (token.capital and not token.first):
        return False
    return token.text not in BREAKS and not token.text.endswith("ly")


def _subjects(
    tokens: Sequence[Token], stop: Callable[[str], bool]
) -> tuple[list[Person], list[bool]]:
    found: list[Person] = []
    acts: list[bool] = []
    at, clause = -1, _Clause("")
    for token in tokens:
        if token.clause != at:
            ends = token.kind == "break" and token.text in ".!?…"
            at, clause = token.clause, _Clause("" if ends else clause.subject())
        found.append(clause.subject())
        acts.append(clause.acts() and _may_act(token))
        if token.kind != "break":
            clause.add(token, stop=stop)
    return found, acts


def _owner(tokens: Sequence[Token], at: int) -> Person:
    """By the two words before."""
    for before in reversed(tokens[max(at - 2, 0) : at]):
        if before.kind == "break":
            return ""
        if before.clitic == "s" and before.text not in SUBJECTS:
            return "noun"
        if before.text in OWNERS:
            return OWNERS[before.text]
    return ""


def _object(tokens: Sequence[Token], at: int) -> Person:
    behind = tokens[at + 1] if at + 1 < len(tokens) else None
    return OBJECTS.get(behind.text, "") if behind and behind.kind == "word" else ""


def _direction(tokens: Sequence[Token], at: int) -> str:
    """By the three words before."""
    for before in reversed(tokens[max(at - 3, 0) : at]):
        if before.kind == "break" or before.text in BREAKS:
            return ""
        if before.text in OTHER_WAY:
            return before.text
    return ""


def _bound(tokens: Sequence[Token], at: int) -> str:
    """By the two words before a number."""
    if tokens[at].kind != "number":
        return ""
    if tokens[at].text[0] in "<>":
        return tokens[at].text[0]
    before = (each.text for each in reversed(tokens[max(at - 2, 0) : at]))
    behind = [each.text for each in tokens[at + 1 : at + 4]]
    after = f"or {behind[behind.index('or') + 1 :][:1]}" if "or" in behind else ""
    return next((text for text in before if text in BOUNDS), after)


def _by_clause(
    tokens: Sequence[Token], of: Callable[[Sequence[Token], int], str]
) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for at, token in enumerate(tokens):
        if told := of(tokens, at):
            found.setdefault(token.clause, set()).add(told)
    return found


def _tense(tokens: Sequence[Token], at: int) -> str:
    token = tokens[at]
    if token.clitic in ("m", "re", "ve") or (token.clitic == "s" and token.text in SUBJECTS):
        return "present"
    return TENSES.get(token.text, "") if token.kind == "word" else ""


def _mood(tokens: Sequence[Token], at: int) -> str:
    text = tokens[at].text
    before = tokens[at - 1].text if at else ""
    earlier = tokens[at - 2].text if at > 1 else ""
    if tokens[at].clitic == "ll":
        return "future"
    if tokens[at].clitic == "d" and text in SUBJECTS:
        behind = tokens[at + 1].text if at + 1 < len(tokens) else ""
        return "" if behind.endswith("ed") else "would"
    if text == "to":
        if before == "used":
            return "" if earlier in BE else "formerly"
        if before in ("going", "about") or before in FUTURES:
            return "future"
        return "must" if before in ("have", "has", "had", "need", "needs", "needed") else ""
    if text == "longer":
        return "formerly" if before == "no" else ""
    if text in ("of", "about") and before in ("thinking", "dreaming"):
        return "future"
    behind = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if text in AMOUNTS and behind not in ("way", "ways"):
        return text
    return MODALS.get(text, "")


def _reported(tokens: Sequence[Token], subjects: Sequence[Person]) -> list[bool]:
    found = _quoted(tokens)
    start, speaking = 0, False
    for at, token in enumerate(tokens):
        if token.kind == "break" and token.text in ".!?…":
            start, speaking = at + 1, False
            continue
        if speaking and _takes_over(tokens, at):
            speaking = False
        found[at] = found[at] or speaking
        if _reports(tokens, at, subjects[at]):
            speaking = True
            if at > start and (token.after_break or _is_added(tokens, at)):  # ', says Bob'
                found[start:at] = [True] * (at - start)
    return found


def _reports(tokens: Sequence[Token], at: int, subject: Person) -> bool:
    token = tokens[at]
    if token.kind != "word" or token.text not in REPORTING:
        return False
    before = tokens[at - 1].text if at else ""
    behind = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if token.text in ("heard", "according"):
        return True
    if token.text in ("wrote", "writes", "written"):
        breaks = at + 1 < len(tokens) and tokens[at + 1].kind == "break"
        return subject != "I" and (breaks or behind in ("that", ""))
    return subject != "I" or (token.text == "told" and before in BE)


def _is_added(tokens: Sequence[Token], at: int) -> bool:
    """', Bob says.'"""
    ends = at + 1 == len(tokens) or tokens[at + 1].kind == "break"
    begins = next((n for n in range(at, -1, -1) if tokens[n].clause != tokens[at].clause), -1)
    return ends and tokens[begins + 1].kind == "break" and tokens[begins + 1].text in ",–—("


def _takes_over(tokens: Sequence[Token], at: int) -> bool:
    """The author speaks again: ', so I', ', and we'."""
    before = tokens[at - 1]
    return tokens[at].text in ("i", "we") and (before.kind == "break" or before.text in _JOINING)


def _quoted(tokens: Sequence[Token]) -> list[bool]:
    """Between quotation marks, where that is long enough for speech."""
    found = [False] * len(tokens)
    at = 0
    while at < len(tokens):
        end = at
        while end < len(tokens) and tokens[end].quoted:
            end += 1
        if sum(token.kind != "break" for token in tokens[at:end]) >= _SPEECH:
            found[at:end] = [True] * (end - at)
        at = max(end, at + 1)
    return found
