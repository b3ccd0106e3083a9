"""Who speaks in a transcript: a chat or interview whose lines begin with names.

`Ada: ...`, `**Ada:** ...` or `**Ada**: ...`. A text is a transcript when the author and somebody
else are both named so, in three lines or more.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from llm_engineering.application.markdown import Block

_LABEL = re.compile(
    r"^(?:\*\*|__)?(?P<name>[^\W\d_][\w .'’-]{0,40}?)(?:\*\*|__)?:(?:\*\*|__)?[ \t]+(?=\S)",
    re.MULTILINE,
)
_LEAST_TURNS = 3


def spoken(text: str, structure: Sequence[Block], *, author: str) -> Iterator[tuple[Block, bool]]:
    """The blocks of `text`, and whether the author speaks in each; label by label in a transcript.

    A block of the author's begins after its label. What stands before the first label, and all of
    a text that is no transcript, is the author's.
    """
    names = [found["name"].casefold() for found in _labels(text, structure)]
    own = {author.casefold(), *author.casefold().split()[:1]}
    if len(names) < _LEAST_TURNS or not own.intersection(names) or own.issuperset(names):
        yield from ((block, True) for block in structure)
        return
    mine = True
    for block in structure:
        if block.kind != "paragraph":
            yield block, mine
            continue
        at = block.start
        for label in _LABEL.finditer(text, block.start, block.end):
            if label.start() > at:
                yield replace(block, start=at, end=label.start()), mine
            mine, at = label["name"].casefold() in own, label.end()
        yield replace(block, start=at), mine


def _labels(text: str, structure: Sequence[Block]) -> Iterator[re.Match[str]]:
    for block in structure:
        if block.kind == "paragraph":
            yield from _LABEL.finditer(text, block.start, block.end)
