"""What a chat model reads of the conversation before the question."""

from collections.abc import Sequence

from llm_engineering.domain.chat import Message, Role
from llm_engineering.ports.models import ChatModel


def recent(history: Sequence[Message], *, tokens: int, chat: ChatModel) -> tuple[Message, ...]:
    """The latest turns that fit; system messages always do. Never begins with an answer."""
    kept: list[Message] = []
    left, full = tokens, False
    for message in reversed(history):
        if message.role is Role.SYSTEM:
            kept.append(message)
            continue
        left -= chat.count_tokens(message.content)
        full = full or left < 0
        if not full:
            kept.append(message)
    turns = list(reversed(kept))
    while (spoken := [m for m in turns if m.role is not Role.SYSTEM]) and (
        spoken[0].role is not Role.USER
    ):
        turns.remove(spoken[0])
    return tuple(turns)
