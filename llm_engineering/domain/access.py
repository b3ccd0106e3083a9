"""Keys to the API: what they are made of, what they allow, and how they stay out of logs.

A key is 256 random bits. Only its SHA-256 digest is kept, and no slow hash is needed: those make
it dear to try the passwords that people think of, whereas 2^256 keys cannot be tried at any
speed. A slow one would only let strangers keep the server busy by sending it nonsense.

Does not know: where keys are stored, HTTP.
"""

import hashlib
import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

KEY_PREFIX = "twin-"
NAME_PATTERN = r"\w[\w .-]{0,62}\w|\w"
ID_PATTERN = r"[0-9a-f]{12}"
HIDDEN = f"{KEY_PREFIX}**********"

# A key has 43 characters behind its prefix; a shorter beginning of one tells too much as well.
_LOOKS_LIKE_A_KEY = re.compile(rf"{KEY_PREFIX}[A-Za-z0-9_-]{{16,}}")


class Scope(StrEnum):
    """What a key may be used for."""

    ASK = "ask"
    """Questions, searches, the list of models."""
    FEEDBACK = "feedback"
    """Saying what an answer was worth."""
    ADMIN = "admin"
    """Whatever the server shows of itself, and everything else."""


KeyState = Literal["live", "expired", "revoked"]


class ApiKey(BaseModel):
    """Everything about a key but the key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]
    name: str
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """None: as the server is set."""
    answers: Annotated[int, Field(ge=1)] | None = None
    """Answers under way at once; None: as the server is set."""
    author: bool = False
    """The author's own: what is edited with it are the author's words."""
    last_used_at: AwareDatetime | None = None
    """To the minute."""
    revoked_at: AwareDatetime | None = None

    def state(self, at: datetime) -> KeyState:
        """Whether it opens anything at the moment `at`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= at else "live"

    def allows(self, scope: Scope) -> bool:
        """An admin's key allows everything."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


def digest_of(key: bytes) -> str:
    """What is kept of a key, in hex."""
    return hashlib.sha256(key).hexdigest()


def without_keys(text: str) -> str:
    """`text` with everything hidden that looks like a key, or like most of one."""
    return _LOOKS_LIKE_A_KEY.sub(HIDDEN, text) if KEY_PREFIX in text else text


def name_taken(name: str) -> str:
    """The error of a name that a key has already."""
    return f"there is a key named {name!r}; choose another name, or 'twin keys revoke' it first"


def no_such_key(name: str) -> str:
    """The error of a name or an id that no key has."""
    return f"no key {name!r}; 'twin keys list' shows all"
