"""What a reader says of themselves or asks to have kept in mind, and which of it is meant.

English only.

Does not know: conversations, where anything is kept.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from llm_engineering.application.rag.forgetting import forget_what, parts
from llm_engineering.application.sentences import sentence_spans
from llm_engineering.domain.conversations import Remembered
from llm_engineering.ports.models import SparseEncoder

FORGOTTEN = "[forgotten]"
LONGEST = 300
"""Characters of a fact."""

_SAYS = re.compile(
    r"^(?:(?:hi|hello|hey|ok|okay|so|well|and|btw|by the way)[,!. ]+)?(?:"
    r"(?:please )?(?:remember|keep in mind|note)\b(?: that)?|call me\b"
    r"|my (?!question)[\w -]{1,40}? (?:is|are)\b"
    r"|(?:i['’]m|i am|we['’]re|we are)\b(?! (?:not )?(?:wondering|asking|sure|curious|trying))"
    r"|(?:i|we) (?:use|run|work|live|deploy|prefer|have|own|write|host|build|come|speak|keep)\b"
    r")",
    re.IGNORECASE,
)
_ABOUT_READER = re.compile(
    r"^(?:(?:so|and|ok|hey|please)[, ]+)*(?:"
    r"(?:what|which|who|where|when)\b.*\b(?:my|am i|(?:do|did|have) (?:i|we))\b"
    r"|(?:do|can) you (?:remember|recall|know|tell me)\b.*\b(?:my|i|we)\b"
    r"|what (?:do|did) you (?:remember|know)\b)",
    re.IGNORECASE | re.DOTALL,
)
_GENERIC = (
    "my name is called use using run work live deploy prefer have own write host build remember "
    "keep mind note that call me we i am speak come what which who where when do did you know tell"
)


def stated(text: str) -> tuple[str, ...]:
    """The sentences of `text`, word for word, in which the reader says something to be kept."""
    if forget_what(text) is not None:
        return ()
    said = [each.strip() for each in sentences(text)]
    return tuple(
        each
        for each in said
        if _SAYS.match(each) and not each.endswith("?") and len(each) <= LONGEST
    )


def only_states(text: str) -> bool:
    """Whether there is nothing in `text` but such sentences."""
    said = [each for each in sentences(text) if each.strip()]
    return bool(said) and len(stated(text)) == len(said)


def asks_about_reader(question: str) -> bool:
    """Whether only the reader can have said the answer."""
    return _ABOUT_READER.match(question.strip()) is not None


def relevant(
    question: str, facts: Sequence[Remembered], *, sparse: SparseEncoder
) -> tuple[Remembered, ...]:
    """Those that share a word with the question, those that share most first, then the latest."""
    wanted = terms(question, sparse)
    shared = [(len(wanted & terms(fact.text, sparse)), fact) for fact in facts]
    ranked = sorted(shared, key=lambda pair: (-pair[0], -pair[1].turn))
    return tuple(fact for count, fact in ranked if count)


def meant(
    what: str, facts: Sequence[Remembered], *, sparse: SparseEncoder
) -> tuple[Remembered, ...]:
    """Those that `what` asks to forget: where some hold all of it those, else for each of its
    parts those that hold more than half of its telling words; without any word that is searched
    for, those that say the same."""
    wanted = terms(what, sparse)
    whole = tuple(fact for fact in facts if wanted and wanted <= terms(fact.text, sparse))
    if whole and len(parts(what)) > 1:
        return whole
    found = [_holding(part, facts, sparse) for part in parts(what)]
    return tuple(fact for fact in facts if any(fact in each for each in found))


def _holding(
    what: str, facts: Sequence[Remembered], sparse: SparseEncoder
) -> tuple[Remembered, ...]:
    wanted = terms(what, sparse)
    telling = wanted - terms(_GENERIC, sparse) or wanted
    if not telling:
        return tuple(fact for fact in facts if _bare(fact.text) == _bare(what))
    return tuple(
        fact for fact in facts if 2 * len(telling & terms(fact.text, sparse)) > len(telling)
    )


def left_over(what: str, facts: Sequence[Remembered], *, sparse: SparseEncoder) -> bool:
    """Whether `what` has a telling word that is in none of the facts."""
    told = set[int]().union(*(terms(fact.text, sparse) for fact in facts))
    return bool(terms(what, sparse) - told - terms(_GENERIC, sparse))


def redacted(text: str, gone: Sequence[Remembered | str], *, sparse: SparseEncoder) -> str:
    """`text` without the sentences that hold a telling word of what is forgotten.

    Rather too much goes than too little: one such word is enough.
    """
    told = set[int]()
    same = set[str]()
    for fact in gone:
        said = fact if isinstance(fact, str) else fact.text
        told |= terms(said, sparse)
        if not terms(said, sparse):  # "I'm Will."
            same.add(_bare(said))
    telling = told - terms(_GENERIC, sparse) or told

    def goes(sentence: str) -> bool:
        return bool(terms(sentence, sparse) & telling) or _bare(sentence) in same

    kept = [FORGOTTEN + " " if goes(each) else each for each in sentences(text)]
    return "".join(kept).strip()


def _bare(text: str) -> str:
    """To compare what is made of stop words only."""
    return " ".join(text.casefold().strip(" \t\n.!?,;:\"'").removeprefix("that ").split())


def sentences(text: str) -> list[str]:
    """Joined, they are the text."""
    starts = [start for start, _ in sentence_spans(text, language="en")]
    cuts = [0, *starts[1:], len(text)] if starts else [0, len(text)]
    return [text[a:b] for a, b in pairwise(cuts)]


def terms(text: str, sparse: SparseEncoder) -> set[int]:
    """Of its content words."""
    return set(sparse.query(text).indices.tolist())
