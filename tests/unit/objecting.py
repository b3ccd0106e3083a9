"""What the rules of grounding object to in a sentence, and the voice of one of its words."""

import re

from llm_engineering.application.rag.following import following
from llm_engineering.application.rag.reading import reader_of
from llm_engineering.application.rag.voices import Voice
from tests.unit.grounded import SPARSE

READER = reader_of(SPARSE)
_ENDS = re.compile(r"(?<=[.!?])\s+")


def objections(note: str, claim: str, *, about: str = "") -> tuple[str, ...]:
    """To `claim`, with all sentences of `note` as evidence, where both are about `about`."""
    return following(
        READER.read(claim),
        [READER.read(sentence) for sentence in _ENDS.split(note)],
        reader=READER,
        context=frozenset(READER.key(word) for word in about.split()),
    ).objections


def voice(text: str, word: str) -> Voice:
    """Of the first `word` in `text`."""
    return next(each.voice for each in READER.read(text).words if each.text == word)
