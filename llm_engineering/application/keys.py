"""Making and revoking keys to the API; both are in the audit log.

Does not know: where keys are kept, how they are sent.
"""

import re
import secrets
from datetime import datetime, timedelta

from llm_engineering.domain.access import (
    ID_PATTERN,
    KEY_PREFIX,
    NAME_PATTERN,
    ApiKey,
    Scope,
    digest_of,
    no_such_key,
)
from llm_engineering.domain.audit import AuditEntry
from llm_engineering.domain.errors import InvalidInput, NotFound
from llm_engineering.ports.stores import AuditLog, KeyStore

KEY_BYTES = 32


def create_key(
    name: str,
    *,
    scopes: tuple[Scope, ...],
    store: KeyStore,
    audit: AuditLog,
    now: datetime,
    lasts: timedelta | None = None,
    requests_per_minute: int | None = None,
    answers: int | None = None,
    author: bool = False,
) -> tuple[str, ApiKey]:
    """A new key, which exists nowhere but in what this returns, and what is kept of it.

    Raises InvalidInput for a name that a live key has, or that is none.
    """
    if not re.fullmatch(NAME_PATTERN, name) or re.fullmatch(ID_PATTERN, name):
        raise InvalidInput(
            f"{name[:80]!r} is no name for a key; take up to 64 letters, digits, dots, dashes and "
            "spaces, such as 'laptop'"
        )
    secret = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    key = ApiKey(
        id=secrets.token_hex(6),
        name=name,
        digest=digest_of(secret.encode()),
        scopes=tuple(dict.fromkeys(scopes)),
        created_at=now,
        expires_at=now + lasts if lasts else None,
        requests_per_minute=requests_per_minute,
        answers=answers,
        author=author,
    )
    store.add(key)
    audit.note(AuditEntry(at=now, event="key-created", key_id=key.id, key_name=key.name))
    return secret, key


def revoke_key(name: str, *, store: KeyStore, audit: AuditLog, now: datetime) -> ApiKey:
    """Revoke the key with this id, or the live one with this name.

    Raises NotFound when there is none.
    """
    found = next((key for key in store.all() if _is_meant(key, name)), None)
    if found is None:
        raise NotFound(no_such_key(name[:80]))
    key = store.revoke(found.id, at=now)
    audit.note(AuditEntry(at=now, event="key-revoked", key_id=key.id, key_name=key.name))
    return key


def _is_meant(key: ApiKey, name: str) -> bool:
    return key.id == name or (key.name == name and key.revoked_at is None)
