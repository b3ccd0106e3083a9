"""Keys and the audit log in this process, gone with it. For tests, under the same contract."""

from collections.abc import Mapping
from datetime import datetime
from threading import Lock
from uuid import uuid4

from llm_engineering.domain.access import ApiKey, name_taken, no_such_key
from llm_engineering.domain.audit import AuditEntry
from llm_engineering.domain.errors import InvalidInput, NotFound


class MemoryKeyStore:
    """A `KeyStore` of a dictionary; `close` keeps what it holds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._keys: dict[str, ApiKey] = {}
        self._version = ""

    def add(self, key: ApiKey) -> None:
        with self._lock:
            if any(k.name == key.name and k.revoked_at is None for k in self._keys.values()):
                raise InvalidInput(name_taken(key.name))
            self._keys[key.id] = key
            self._version = uuid4().hex

    def all(self) -> tuple[ApiKey, ...]:
        with self._lock:
            return tuple(sorted(self._keys.values(), key=lambda key: (key.created_at, key.id)))

    def revoke(self, key_id: str, *, at: datetime) -> ApiKey:
        with self._lock:
            if (key := self._keys.get(key_id)) is None:
                raise NotFound(no_such_key(key_id))
            revoked = key.model_copy(update={"revoked_at": key.revoked_at or at})
            self._keys[key_id] = revoked
            self._version = uuid4().hex
            return revoked

    def used(self, moments: Mapping[str, datetime]) -> None:
        with self._lock:
            for key_id, at in moments.items():
                key = self._keys.get(key_id)
                if key is not None and (key.last_used_at is None or key.last_used_at < at):
                    self._keys[key_id] = key.model_copy(update={"last_used_at": at})

    def version(self) -> str:
        return self._version

    def close(self) -> None:
        pass


class MemoryAuditLog:
    """An `AuditLog` of a list."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    def note(self, entry: AuditEntry) -> None:
        self.entries.append(entry)

    def close(self) -> None:
        pass
