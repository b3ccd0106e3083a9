"""What the audit log keeps: who asked the API for what, and what became of it.

Never the key, never what was asked or answered.
"""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

AuditEvent = Literal["request", "key-created", "key-revoked", "lines-lost"]


class AuditEntry(BaseModel):
    """One line of the log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    event: AuditEvent
    request_id: str | None = None
    key_id: str | None = None
    key_name: str | None = None
    address: str | None = None
    """Of the client."""
    method: str | None = None
    route: str | None = None
    """As it is declared, e.g. `/v1/models/{name}`; None for a path that leads nowhere."""
    status: int | None = None
    refused: str | None = None
    """Why the request was not let in."""
    lost: int | None = None
    """Lines that could not be written before this one."""
