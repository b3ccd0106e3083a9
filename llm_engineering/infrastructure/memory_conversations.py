"""Conversations in this process, gone with it. For tests, under the same contract."""

from collections.abc import Iterator
from threading import Lock

from llm_engineering.domain.conversations import (
    Conversation,
    changed_meanwhile,
    newest_first,
    no_such_conversation,
)
from llm_engineering.domain.errors import Conflict, NotFound


class MemoryConversationStore:
    """A `ConversationStore` of a dictionary; `close` keeps what it holds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[str, Conversation] = {}

    def add(self, conversation: Conversation) -> None:
        with self._lock:
            self._held[conversation.id] = conversation

    def get(self, conversation_id: str, *, owner: str) -> Conversation:
        with self._lock:
            found = self._held.get(conversation_id)
        if found is None or found.owner != owner:
            raise NotFound(no_such_conversation(conversation_id))
        return found

    def of(self, owner: str) -> tuple[Conversation, ...]:
        with self._lock:
            return newest_first(each for each in self._held.values() if each.owner == owner)

    def all(self) -> Iterator[Conversation]:
        with self._lock:
            held = [self._held[key] for key in sorted(self._held)]
        yield from held

    def replace(self, conversation: Conversation, *, seen: Conversation) -> None:
        with self._lock:
            found = self._held.get(seen.id)
            if found is None:
                raise NotFound(no_such_conversation(seen.id))
            if found != seen:
                raise Conflict(changed_meanwhile(seen.id))
            self._held[seen.id] = conversation

    def remove(self, conversation_id: str, *, owner: str) -> None:
        self.get(conversation_id, owner=owner)
        with self._lock:
            self._held.pop(conversation_id, None)

    def close(self) -> None:
        pass
