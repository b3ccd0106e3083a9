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
    """What should have been said instead, in the words of whoever edited."""
    by_author: bool = False
    """The edit is the author's own, or one that the author has accepted: only then may a model
    be trained to say it."""
    liked: bool | None = None
    """Thumb up or down; None for an edit without one."""
    model: str
    """Version that answered."""
    document_ids: tuple[str, ...] = ()
    """Of the passages that it answered from, of what it quotes, and of what the earlier answers in
    its prompt rest on."""
    passages: tuple[str, ...] = ()
    """Places of these passages: 'document:start-end', in code points of the cleaned document."""
    answer_id: str = ""
    adapter_hash: str = ""
    """Of the adapter that answered; '' for an engine that has none."""
    owner: str = ""
    """Id of the key that gave it; '' without keys."""
    conversation: str = ""
    """Id of the conversation that the answer belongs to; '' for none."""
    created_at: AwareDatetime


def feedback_order(feedback: Feedback) -> tuple[datetime, str]:
    """Oldest first."""
    return feedback.created_at, feedback.id
