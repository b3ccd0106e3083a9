"""An answer as it was served: what feedback on it has to be kept with.

Does not know: where it is kept and for how long.
"""

from pydantic import AwareDatetime, BaseModel, ConfigDict

from llm_engineering.domain.chat import Answer, Message


class ServedAnswer(BaseModel):
    """One answer, the conversation that the model was given, and who spoke."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer: Answer
    prompt: tuple[Message, ...]
    """All messages that the model was given; () when none was asked."""
    earlier: tuple[str, ...] = ()
    """Ids of the documents that the earlier answers in `prompt` rest on."""
    adapter_hash: str = ""
    """Of the adapter that spoke; '' for an engine that has none."""
    owner: str = ""
    """Id of the key that asked; '' without keys."""
    conversation: str = ""
    """Id of the conversation that it belongs to; '' for none."""
    at: AwareDatetime
