"""Keys to the API in one SQLite file: `twin keys` writes while a server reads."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from llm_engineering.domain.access import ApiKey, name_taken, no_such_key
from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, NotFound
from llm_engineering.infrastructure.sqlite_file import SqliteFile

MIGRATIONS = (
    (
        "CREATE TABLE keys (id TEXT PRIMARY KEY, name TEXT NOT NULL, created_at TEXT NOT NULL,"
        " value TEXT NOT NULL, last_used_at TEXT, revoked_at TEXT) WITHOUT ROWID",
        "CREATE UNIQUE INDEX live_names ON keys (name) WHERE revoked_at IS NULL",
        # Random, not counted: a file made anew must not seem to be the one before.
        "CREATE TABLE version (value TEXT NOT NULL)",
        "INSERT INTO version VALUES ('')",
    ),
)
_CHANGED = "UPDATE version SET value = hex(randomblob(16))"
_COLUMNS = "id, value, last_used_at, revoked_at"


class SqliteKeyStore:
    """A `KeyStore` in `path`; nothing is touched before the first call, reading makes no file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = SqliteFile(path, migrations=MIGRATIONS)

    def add(self, key: ApiKey) -> None:
        with self._file.writing() as connection:
            taken = connection.execute(
                "SELECT 1 FROM keys WHERE name = ? AND revoked_at IS NULL", [key.name]
            ).fetchone()
            if taken:
                raise InvalidInput(name_taken(key.name))
            connection.execute(
                "INSERT INTO keys (id, name, created_at, value, last_used_at, revoked_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [
                    key.id,
                    key.name,
                    _text(key.created_at),
                    key.model_dump_json(exclude={"last_used_at", "revoked_at"}),
                    key.last_used_at and _text(key.last_used_at),
                    key.revoked_at and _text(key.revoked_at),
                ],
            )
            connection.execute(_CHANGED)

    def all(self) -> tuple[ApiKey, ...]:
        """Raises BackendUnavailable for a row that this version cannot read."""
        with self._file.reading() as connection:
            if connection is None:
                return ()
            rows = connection.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY created_at, id")  # noqa: S608  constants
            found = rows.fetchall()
        return tuple(map(self._key, found))

    def revoke(self, key_id: str, *, at: datetime) -> ApiKey:
        with self._file.reading() as existing:
            if existing is None or not _row(existing, key_id):
                raise NotFound(no_such_key(key_id))
        with self._file.writing() as connection:
            connection.execute(
                "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
                [_text(at), key_id],
            )
            connection.execute(_CHANGED)
            row = _row(connection, key_id)
        return self._key(row)

    def used(self, moments: Mapping[str, datetime]) -> None:
        with self._file.reading() as existing:
            if existing is None or not moments:
                return
        rows = [(_text(at), key_id) for key_id, at in moments.items()]
        with self._file.writing() as connection:
            connection.executemany(
                "UPDATE keys SET last_used_at = max(coalesce(last_used_at, ''), ?) WHERE id = ?",
                rows,
            )

    def version(self) -> str:
        with self._file.reading() as connection:
            if connection is None:
                return ""
            return str(connection.execute("SELECT value FROM version").fetchone()[0])

    def close(self) -> None:
        self._file.close()

    def _key(self, row: Sequence[str]) -> ApiKey:
        key_id, value, last_used_at, revoked_at = row
        try:
            key = ApiKey.model_validate_json(value)
        except ValidationError:
            raise BackendUnavailable(
                f"{self._path}: key {key_id!r} cannot be read; restore a backup, or move the file "
                "away and make the keys anew"
            ) from None
        moments = {"last_used_at": last_used_at, "revoked_at": revoked_at}
        return key.model_copy(
            update={name: at and datetime.fromisoformat(at) for name, at in moments.items()}
        )


def _row(connection: sqlite3.Connection, key_id: str) -> Sequence[str]:
    row: Sequence[str] | None = connection.execute(
        f"SELECT {_COLUMNS} FROM keys WHERE id = ?",  # noqa: S608  constants
        [key_id],
    ).fetchone()
    return row or ()


def _text(at: datetime) -> str:
    """Sorts as the moments do, whatever their time zones."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
