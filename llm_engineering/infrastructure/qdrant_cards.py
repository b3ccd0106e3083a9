"""What a collection of an index says of itself, in its metadata.

Does not know: how metadata is kept.
"""

import os
import socket
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError

from llm_engineering.domain.chunks import IndexManifest

LEASE_S = 600.0
"""A builder on another machine counts as dead when it wrote nothing for so long."""
_KEY = "llm_twin"


class Builder(BaseModel):
    """A process that writes a collection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    pid: int
    token: str
    """Different for every build."""
    seen: float
    """When it last wrote, in seconds since 1970."""

    @classmethod
    def here(cls) -> "Builder":
        host, pid = socket.gethostname(), os.getpid()
        return cls(host=host, pid=pid, token=uuid4().hex, seen=time.time())

    def lives(self) -> bool:
        if self.host != socket.gethostname():
            return time.time() - self.seen < LEASE_S
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # somebody else's process
            return True
        return True


class Card(BaseModel):
    """What a collection says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    manifest: IndexManifest
    base: str
    """Version that was current when its build began; '' for none."""
    fresh: bool
    copied: bool
    """Whether it holds everything that it starts from."""
    builder: Builder | None
    """None: nobody is at it."""

    def same_origin(self, other: "Card") -> bool:
        return (self.manifest, self.base, self.fresh) == (other.manifest, other.base, other.fresh)


def card_of(metadata: Mapping[str, Any]) -> Card | None:
    """None for the metadata of a collection that is not ours, or of another version of this."""
    try:
        return Card.model_validate(metadata[_KEY])
    except (KeyError, ValidationError):
        return None


def metadata_of(card: Card) -> dict[str, Any]:
    return {_KEY: card.model_dump(mode="json")}
