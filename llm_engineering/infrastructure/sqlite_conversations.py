"""Conversations in one SQLite file, each one a row that is written whole or not at all."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from llm_engineering.domain.conversations import (
    Conversation,
    changed_meanwhile,
    newest_first,
    no_such_conversation,
)
from llm_engineering.domain.errors import BackendUnavailable, Conflict, NotFound
from llm_engineering.infrastructure.sqlite_file import SqliteFile

MIGRATIONS = (
    (
        "CREATE TABLE conversations (id TEXT PRIMARY KEY, owner TEXT NOT NULL,"
        " value TEXT NOT NULL) WITHOUT ROWID",
        "CREATE INDEX conversations_by_owner ON conversations (owner)",
    ),
)


class SqliteConversationStore:
    """A `ConversationStore` in `path`; nothing is touched before the first call.

    What is removed, or taken out of a conversation, is in no file afterwards: see
    `SqliteFile.forget`. A turn that only adds does without it, because all that the log holds of
    the conversation is still in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = SqliteFile(path, migrations=MIGRATIONS)

    def add(self, conversation: Conversation) -> None:
        with self._file.writing() as connection:
            connection.execute(
                "INSERT INTO conversations VALUES (?, ?, ?)",
                [conversation.id, conversation.owner, conversation.model_dump_json()],
            )

    def get(self, conversation_id: str, *, owner: str) -> Conversation:
        with self._file.reading() as connection:
            value = connection and _value(connection, conversation_id, owner)
        if not value:
            raise NotFound(no_such_conversation(conversation_id))
        return self._read(conversation_id, value)

    def of(self, owner: str) -> tuple[Conversation, ...]:
        return newest_first(
            self._rows("SELECT id, value FROM conversations WHERE owner = ?", owner)
        )

    def all(self) -> Iterator[Conversation]:
        yield from self._rows("SELECT id, value FROM conversations ORDER BY id")

    def replace(self, conversation: Conversation, *, seen: Conversation) -> None:
        with self._file.writing() as connection:
            value = _value(connection, seen.id, seen.owner)
            if not value:
                raise NotFound(no_such_conversation(seen.id))
            if self._read(seen.id, value) != seen:
                raise Conflict(changed_meanwhile(seen.id))
            connection.execute(
                "UPDATE conversations SET value = ? WHERE id = ?",
                [conversation.model_dump_json(), seen.id],
            )
        if not _only_adds(conversation, seen=seen):
            self._file.forget()

    def remove(self, conversation_id: str, *, owner: str) -> None:
        self.get(conversation_id, owner=owner)
        with self._file.writing() as connection:
            connection.execute("DELETE FROM conversations WHERE id = ?", [conversation_id])
        self._file.forget()

    def close(self) -> None:
        self._file.close()

    def _rows(self, query: str, *given: str) -> list[Conversation]:
        with self._file.reading() as connection:
            rows = connection.execute(query, given).fetchall() if connection else ()
        return [self._read(str(key), str(value)) for key, value in rows]

    def _read(self, key: str, value: str) -> Conversation:
        try:
            return Conversation.model_validate_json(value)
        except ValidationError:
            raise BackendUnavailable(
                f"{self._path}: conversation {key!r} cannot be read; restore a backup, or move "
                "the file away"
            ) from None


def _only_adds(conversation: Conversation, *, seen: Conversation) -> bool:
    """Whether every turn is as it was: what else a conversation holds is made from its turns.

    A summary that is begun anew is one that was to be forgotten.
    """
    same = conversation.turns[: len(seen.turns)] == seen.turns
    return same and conversation.summarised >= seen.summarised


def _value(connection: sqlite3.Connection, conversation_id: str, owner: str) -> str:
    row = connection.execute(
        "SELECT value FROM conversations WHERE id = ? AND owner = ?", [conversation_id, owner]
    ).fetchone()
    return str(row[0]) if row else ""
