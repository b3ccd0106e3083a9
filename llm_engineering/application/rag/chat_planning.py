"""Planning by a chat model: it is shown what was found, and can do nothing but ask for a search.

What it says counts only when every line is as it was told to write them; anything else asks for
nothing, so that the answer is made from what is there. Does not know: how a search is done.
"""

import re
from collections.abc import Sequence

from llm_engineering.application.rag.find import Findings
from llm_engineering.application.rag.marking import datamarked, one_line
from llm_engineering.application.rag.planning import Query
from llm_engineering.application.rag.prompts import (
    PLAN,
    PLAN_EXAMPLES,
    PLAN_FOUND,
    PLAN_NOTHING,
    PLAN_QUESTION,
)
from llm_engineering.domain.chat import ChatRequest, Message, Role
from llm_engineering.ports.models import ChatModel

_LONGEST = 200
"""Characters of a query."""
_SHOWN, _OF_EACH = 6, 300
"""Passages of all searches that the model is shown, and characters of each."""
_MAX_TOKENS = 160
_SEARCH = re.compile(r"SEARCH: (?P<text>\S.*)")
_DONE = "DONE"


def from_chat(
    question: str, searched: Sequence[Findings], *, chat: ChatModel, left: int
) -> tuple[Query, ...]:
    """The next searches, `left` at most. Raises what the chat model raises."""
    completion = chat.complete(
        ChatRequest(
            messages=(
                Message(role=Role.SYSTEM, content=PLAN.format(left=left)),
                *PLAN_EXAMPLES,
                Message(role=Role.USER, content=_asked(question, searched)),
            ),
            question=question,
            max_tokens=_MAX_TOKENS,
        )
    )
    return () if completion.abstained else read_plan(completion.text, left=left)


def read_plan(said: str, *, left: int) -> tuple[Query, ...]:
    """The queries of a plan: lines `SEARCH: …`, or the one line `DONE`; none of anything else."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if lines == [_DONE]:
        return ()
    matches = [_SEARCH.fullmatch(line) for line in lines]
    texts = [match["text"] for match in matches if match and len(match["text"]) <= _LONGEST]
    if len(texts) != len(lines):
        return ()
    return tuple(Query(text, "asked for by the model") for text in dict.fromkeys(texts))[:left]


def _asked(question: str, searched: Sequence[Findings]) -> str:
    each = max(_SHOWN // max(len(searched), 1), 1)
    passages = {
        (found.passage.document.id, found.passage.start): found.passage
        for findings in searched
        for found in findings.found[:each]
    }
    shown = "\n\n".join(
        PLAN_FOUND.format(text=datamarked(f"{one_line(p.document.title)}\n{p.text[:_OF_EACH]}"))
        for p in passages.values()
    )
    return PLAN_QUESTION.format(question=question, found=shown or PLAN_NOTHING)
