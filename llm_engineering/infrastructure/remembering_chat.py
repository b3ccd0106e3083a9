"""A chat model that is asked each thing once: its answers stay in one SQLite file.

An answer is kept the moment it is there, so what was paid for outlives the process that asked.
Does not know: what is asked, or who answers.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from pathlib import Path

from pydantic import ValidationError

from llm_engineering.domain.chat import Capabilities, ChatRequest, Completion, Delta
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure.sqlite_file import SqliteFile
from llm_engineering.ports.models import ChatModel

MIGRATIONS = (
    (
        "CREATE TABLE answers (key TEXT PRIMARY KEY, model TEXT NOT NULL, value TEXT NOT NULL)"
        " WITHOUT ROWID",
    ),
)


class RememberingChat:
    """`ChatModel` that asks `chat` what is not in `path` yet; its failures are not kept.

    The same model is the same name, whichever server it is on.
    """

    def __init__(self, chat: ChatModel, path: Path) -> None:
        self._chat = chat
        self._path = path
        self._file = SqliteFile(path, migrations=MIGRATIONS)

    @property
    def name(self) -> str:
        return self._chat.name

    @property
    def generates(self) -> bool:
        return self._chat.generates

    @property
    def capabilities(self) -> Capabilities:
        return self._chat.capabilities

    def models(self) -> tuple[str, ...]:
        return self._chat.models()

    def count_tokens(self, text: str) -> int:
        return self._chat.count_tokens(text)

    def complete(self, request: ChatRequest) -> Completion:
        """Raises what the model raises; BackendUnavailable for an answer that cannot be read."""
        key = _key(self.name, request)
        known = self._known(key)
        if known is not None:
            return known
        said = self._chat.complete(request)
        with self._file.writing() as connection:
            # Of two that asked at once, the first answer is everybody's.
            connection.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?)",
                (key, self.name, said.model_dump_json()),
            )
        return self._known(key) or said

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Completion, None]:
        """In one piece: what is asked once is read as a whole."""
        completion = await asyncio.to_thread(self.complete, request)
        if completion.text:
            yield Delta(completion.text)
        yield completion

    def close(self) -> None:
        """Of the file; the model is its owner's. Closing twice is fine."""
        self._file.close()

    def _known(self, key: str) -> Completion | None:
        with self._file.reading() as connection:
            if connection is None:
                return None
            row = connection.execute("SELECT value FROM answers WHERE key = ?", (key,)).fetchone()
        try:
            return Completion.model_validate_json(row[0]) if row else None
        except ValidationError:
            raise BackendUnavailable(
                f"{self._path}: an answer in it cannot be read; restore a backup, or move the "
                "file away to ask everything again"
            ) from None


def _key(model: str, request: ChatRequest) -> str:
    """Without defaults: a field that requests get later changes no key of today's."""
    asked = request.model_dump_json(exclude_defaults=True, exclude={"parent"})
    return hashlib.sha256(f"{model}\n{asked}".encode()).hexdigest()
