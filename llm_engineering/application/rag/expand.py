"""Expand: what else to search for, as a chat model puts it.

Other wordings of the question, or the passage that might answer it (Gao et al., "Precise Zero-Shot
Dense Retrieval without Relevance Labels", 2022). What the model makes up is searched for, never
shown.
"""

import re
from collections.abc import Iterator
from typing import Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.application.rag.prompts import SUPPOSED_PASSAGE, WORDINGS
from llm_engineering.domain.chat import ChatRequest, Message, Role
from llm_engineering.ports.models import ChatModel

_LONGEST_WORDING = 300
"""Characters; what is longer is no wording but an answer."""
_LONGEST_PASSAGE = 1_200

_BULLET = re.compile(r"^(?:[-*•]|\(?\d{1,2}[.):])\s+")
_QUOTED = re.compile(r"^[\"'“‘`](.*)[\"'”’`]$")
_WORD = re.compile(r"\w{2}")


class ExpandConfig(BaseModel):
    """What is searched for beside the question; it needs a chat model that generates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["off", "queries", "hyde"] = "off"
    """`queries`: other wordings; `hyde`: the passage that might answer it."""
    queries: int = Field(default=3, ge=1, le=8)
    """Other wordings at most."""
    max_tokens: int = Field(default=256, ge=16)
    """Longest answer of the model, in its tokens."""


def expanded(question: str, *, chat: ChatModel, config: ExpandConfig) -> tuple[str, ...]:
    """The question itself, then what else to search for; nothing else when the answer is of no use.

    Raises what the chat model raises.
    """
    match config.mode:
        case "off":
            return (question,)
        case "queries":
            prompt = WORDINGS.format(number=config.queries, question=question)
            said = _asked(prompt, question, chat, config)
            return (question, *_wordings(said, question)[: config.queries])
        case "hyde":
            said = _asked(SUPPOSED_PASSAGE.format(question=question), question, chat, config)
            passage = " ".join(said.split())
            if len(passage) > _LONGEST_PASSAGE:
                passage = passage[:_LONGEST_PASSAGE].rpartition(" ")[0] or passage
            return (question, passage[:_LONGEST_PASSAGE]) if _WORD.search(passage) else (question,)
        case unreachable:
            assert_never(unreachable)


def _asked(prompt: str, question: str, chat: ChatModel, config: ExpandConfig) -> str:
    completion = chat.complete(
        ChatRequest(
            messages=(Message(role=Role.USER, content=prompt),),
            question=question,
            max_tokens=config.max_tokens,
        )
    )
    return "" if completion.abstained else completion.text


def _wordings(said: str, question: str) -> list[str]:
    """Distinct lines that may be wordings: no bullets, quotation marks, fences or prefaces."""
    seen = {question.casefold()}
    kept = []
    for line in _lines(said):
        if line.casefold() not in seen:
            seen.add(line.casefold())
            kept.append(line)
    return kept


def _lines(said: str) -> Iterator[str]:
    for raw in said.splitlines():
        line = _BULLET.sub("", " ".join(raw.split()))
        line = _QUOTED.sub(r"\1", line.rstrip(",")).strip()
        fence_or_preface = line.startswith("```") or line.endswith(":")
        if len(line) <= _LONGEST_WORDING and not fence_or_preface and _WORD.search(line):
            yield line
