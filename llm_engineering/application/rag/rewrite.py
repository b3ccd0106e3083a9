"""Rewrite: a question that follows a conversation, made to stand alone."""

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.application.rag.prompts import STANDALONE, TURN
from llm_engineering.domain.chat import ChatRequest, Message, Role
from llm_engineering.ports.models import ChatModel, SparseEncoder

_LONGEST = 600
"""Characters of a rewritten question."""
_LONGEST_TURN = 800
"""Characters of a turn that a model is shown."""
_MAX_ADDED = 12
"""Words added from earlier turns."""
_FEW, _ENOUGH = 2, 4
"""Content words: with fewer than the first a question is about nothing by itself, from the second
on a pronoun in it hardly matters."""

_POINTING = re.compile(
    r"\b(?:it|its|they|them|their|theirs|those|these|this|he|him|his|she|her|there|one|ones)\b"
    r"|\bthat\b(?=\W*$| (?:is|was|one|work|works|mean|means|do|does)\b)"
    r"|\bthe (?:other|same|latter)\b",
    re.IGNORECASE,
)
_EMPTY_IT = re.compile(
    r"\b(?:is|was|isn['’]t) (?:it|there)\b|\bit (?:is|was|possible)\b|\bit['’]s\b", re.IGNORECASE
)
_LABEL = re.compile(r"^(?:the )?(?:standalone |rewritten )?question\s*:\s*", re.IGNORECASE)
_TOKEN = re.compile(r"\w[\w.+#'’-]*")


class RewriteConfig(BaseModel):
    """How a question of a conversation is made to stand alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["off", "terms", "chat"] = "off"
    """`terms`: content words of the last turns are added to a question that lacks its own;
    `chat`: a chat model that generates rewrites it."""
    turns: int = Field(default=2, ge=1, le=10)
    """Last turns of the user that words are taken from; a model sees the answers too."""


def standalone(
    question: str,
    history: Sequence[Message],
    *,
    sparse: SparseEncoder,
    chat: ChatModel | None,
    config: RewriteConfig,
) -> str:
    """The question, or what it means after `history`, which ends before it.

    A rewriting that is of no use is replaced by added terms. Raises what the chat model raises.
    """
    asked = [turn.content for turn in history if turn.role is Role.USER and turn.content.strip()]
    if config.mode == "off" or not asked or len(question) > _LONGEST:
        return question
    rewritten = ""
    if config.mode == "chat" and chat is not None and chat.generates:
        rewritten = _rewritten(question, history, chat, config)
    return rewritten or _with_terms(question, asked[-config.turns :], sparse)


def _rewritten(
    question: str, history: Sequence[Message], chat: ChatModel, config: RewriteConfig
) -> str:
    """'' when the model's answer is no question of bounded length."""
    spoken = [turn for turn in history if turn.role is not Role.SYSTEM and turn.content.strip()]
    turns = "\n\n".join(
        TURN.format(role=turn.role.value.capitalize(), text=_cut(turn.content))
        for turn in spoken[-2 * config.turns :]
    )
    prompt = STANDALONE.format(turns=turns, question=question)
    completion = chat.complete(
        ChatRequest(
            messages=(Message(role=Role.USER, content=prompt),),
            question=question,
            max_tokens=_LONGEST // 2,
        )
    )
    lines = [line.strip() for line in completion.text.splitlines() if line.strip()]
    if completion.abstained or len(lines) != 1:
        return ""
    rewritten = _LABEL.sub("", lines[0]).strip('"“”`* ')
    return rewritten if len(rewritten) <= _LONGEST else ""


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST_TURN else f"{flat[:_LONGEST_TURN]} …"


def _with_terms(question: str, asked: Sequence[str], sparse: SparseEncoder) -> str:
    held = _terms(question, sparse)
    pointing = _POINTING.search(_EMPTY_IT.sub(" ", question)) is not None
    if len(held) >= _ENOUGH or (len(held) >= _FEW and not pointing):
        return question
    added: list[str] = []
    for turn in reversed(asked):
        content = _terms(turn, sparse)
        for word in _TOKEN.findall(turn):
            terms = _terms(word, sparse) & content
            if terms - held:
                held |= terms
                added.append(word.rstrip(".'’-"))
    longer = " ".join([question, *added[:_MAX_ADDED]])
    return longer if len(longer) <= _LONGEST else question


def _terms(text: str, sparse: SparseEncoder) -> set[int]:
    return set(sparse.query(text).indices.tolist())
