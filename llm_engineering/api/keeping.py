"""What is kept of an answer when it is whole: lately served ones, and turns of conversations.

Does not know: how answers are made.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

from llm_engineering.api.served import ServedAnswers
from llm_engineering.api.shared_ports import SharedPorts
from llm_engineering.application.conversations import Turn, answered, erase_feedback
from llm_engineering.domain.chat import Answer, Message
from llm_engineering.domain.errors import Conflict, NotFound
from llm_engineering.domain.served import ServedAnswer
from llm_engineering.ports.models import SparseEncoder

MEMORY = "memory"
"""Who speaks where the reader's own words are given back."""


class Keeping:
    """For one event loop."""

    def __init__(self, ports: SharedPorts, served: ServedAnswers) -> None:
        self._ports = ports
        self._served = served
        self._talking: set[str] = set()
        """Conversations with a turn under way."""

    @contextmanager
    def alone(self, conversation: str) -> Iterator[None]:
        """One turn of a conversation at a time; '' is none. Raises Conflict."""
        if conversation in self._talking:
            raise Conflict(
                f"conversation {conversation[:80]!r} has a turn under way; wait for its answer"
            )
        if conversation:
            self._talking.add(conversation)
        try:
            yield
        finally:
            self._talking.discard(conversation)

    async def kept(
        self,
        question: str,
        answer: Answer,
        *,
        prompt: tuple[Message, ...],
        owner: str,
        turn: Turn | None,
        sparse: SparseEncoder,
    ) -> Answer:
        """The answer, which feedback can name from now on, after its turn is kept.

        Raises Conflict when another process took a turn meanwhile.
        """
        if turn is not None and turn.plain:
            answer = answer.model_copy(update={"abstained": False, "model": MEMORY})
        if not answer.id:
            answer = answer.model_copy(update={"id": uuid4().hex})
        now = datetime.now(UTC)
        if turn is not None:
            try:
                await asyncio.to_thread(self._keep, question, turn, answer, now, sparse)
            except NotFound:  # deleted meanwhile, so nothing of it is kept here either
                return answer
            if turn.plain:  # nothing of it is the twin's
                return answer
        conversation = turn.seen.id if turn else ""
        self._served.keep(
            ServedAnswer(
                answer=answer, prompt=prompt, owner=owner, conversation=conversation, at=now
            )
        )
        return answer

    def _keep(
        self, question: str, turn: Turn, answer: Answer, at: datetime, sparse: SparseEncoder
    ) -> None:
        now = answered(turn, question, answer, at=at, sparse=sparse)
        self._ports.conversations.replace(now, seen=turn.seen)
        if turn.gone is not None:
            self._served.forget(conversation=turn.seen.id)
            erase_feedback(self._ports.feedback, turn.seen.id, gone=turn.gone, sparse=sparse)
