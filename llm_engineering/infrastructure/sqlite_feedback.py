"""Feedback in one SQLite file, without a server; the API writes while a pipeline reads."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC
from pathlib import Path

from pydantic import ValidationError

from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.feedback import Feedback
from llm_engineering.infrastructure.sqlite_file import SqliteFile

MIGRATIONS = (
    (
        "CREATE TABLE feedback (id TEXT PRIMARY KEY, created_at TEXT NOT NULL, value TEXT NOT NULL)"
        " WITHOUT ROWID",
        "CREATE INDEX feedback_by_time ON feedback (created_at, id)",
    ),
)


class SqliteFeedbackStore:
    """A `FeedbackStore` in `path`; nothing is touched before the first call.

    What is removed or replaced is in no file afterwards: see `SqliteFile.forget`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = SqliteFile(path, migrations=MIGRATIONS)

    def put(self, feedback: Sequence[Feedback]) -> None:
        rows = [(each.id, _moment(each), each.model_dump_json()) for each in feedback]
        if not rows:
            return
        with self._file.writing() as connection:
            known = any(
                connection.execute("SELECT 1 FROM feedback WHERE id = ?", [key]).fetchone()
                for key, *_ in rows
            )
            connection.executemany("INSERT OR REPLACE INTO feedback VALUES (?, ?, ?)", rows)
        if known:
            self._file.forget()

    def find(self) -> Iterator[Feedback]:
        """Raises BackendUnavailable for a row that this version cannot read."""
        with self._file.reading() as connection:
            rows = (
                connection.execute("SELECT id, value FROM feedback ORDER BY created_at, id")
                if connection
                else ()
            )
            held = [(str(key), str(value)) for key, value in rows]
        for key, value in held:
            try:
                yield Feedback.model_validate_json(value)
            except ValidationError:
                raise BackendUnavailable(
                    f"{self._path}: feedback {key!r} cannot be read; restore a backup, or move "
                    "the file away"
                ) from None

    def remove(self, ids: Collection[str]) -> int:
        with self._file.reading() as existing:
            if existing is None or not ids:
                return 0
        with self._file.writing() as connection:
            removed = sum(
                connection.execute("DELETE FROM feedback WHERE id = ?", [each]).rowcount
                for each in sorted(set(ids))
            )
        self._file.forget()
        return removed

    def close(self) -> None:
        self._file.close()


def _moment(feedback: Feedback) -> str:
    """Sorts as the moments do, whatever their time zones."""
    return feedback.created_at.astimezone(UTC).isoformat(timespec="microseconds")
