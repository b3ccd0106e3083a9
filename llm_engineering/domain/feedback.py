"""What readers say of answers that the twin served.

Does not know: who asked for it, how it becomes samples.
"""

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from llm_engineering.domain.chat import Message


class Feedback(BaseModel):
    """One opinion of one served answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    prompt: tuple[Message, ...]
    """All messages that the model was given."""
    served: str
    """What it answered."""
    edit: str | None = None
    """What the author would have said instead."""
    liked: bool | None = None
    """Thumb up or down; None for an edit without one."""
    model: str
    """Version that answered."""
    document_ids: tuple[str, ...] = ()
    """Of the passages that it answered from."""
    created_at: AwareDatetime


def feedback_order(feedback: Feedback) -> tuple[datetime, str]:
    """Oldest first."""
    return feedback.created_at, feedback.id
