"""What is kept of an answer when it is whole: lately served ones, and turns of conversations.

Does not know: how answers are made.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from uuid import uuid4

from llm_engineering.api.served import ServedAnswers
from llm_engineering.api.shared_ports import SharedPorts
from llm_engineering.application.conversations import Turn, answered, erase_feedback
from llm_engineering.application.erasure import forget_quotes, rests_on, told_from
from llm_engineering.application.feedback import erased_among
from llm_engineering.domain.chat import Answer, Message, Role
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
        index_version: str,
    ) -> Answer:
        """The answer, which feedback can name from now on, after its turn is kept.

        Nothing is kept of an answer whose conversation was deleted meanwhile, and no words of one
        that rests on a document that was erased. `index_version` is the one that was published
        before its passages were looked for. Raises Conflict when another process took a turn
        meanwhile.
        """
        if turn is not None and turn.plain:
            answer = answer.model_copy(update={"abstained": False, "model": MEMORY})
        if not answer.id:
            answer = answer.model_copy(update={"id": uuid4().hex})
        conversation = turn.seen.id if turn else ""
        served = ServedAnswer(
            answer=answer,
            prompt=prompt,
            earlier=self._earlier(prompt, turn),
            owner=owner,
            conversation=conversation,
            at=datetime.now(UTC),
        )
        if turn is None:
            self._served.keep(served)
            return answer
        with suppress(NotFound):  # deleted meanwhile
            await asyncio.to_thread(self._keep, question, turn, served, sparse, index_version)
        return answer

    def _earlier(self, prompt: tuple[Message, ...], turn: Turn | None) -> tuple[str, ...]:
        said = {message.content.strip() for message in prompt if message.role is Role.ASSISTANT}
        # The reader's program may keep what was said as well.
        found = [rests_on(answer) for answer in self._served.that_said(said)]
        if turn is not None:
            found += [
                told_from(each)
                for number, each in enumerate(turn.now.turns)
                if number < turn.now.summarised or each.standing.strip() in said
            ]
        return tuple(sorted(frozenset[str]().union(*found)))

    def _keep(
        self,
        question: str,
        turn: Turn,
        served: ServedAnswer,
        sparse: SparseEncoder,
        index_version: str,
    ) -> None:
        """Whoever deletes the conversation does so first and forgets its answers then: served
        before it is stored, this one is either forgotten by them or dropped here."""
        if not turn.plain:  # else nothing of it is the twin's
            self._served.keep(served)
        try:
            now = answered(turn, question, served, sparse=sparse)
            if turn.gone is not None:  # before: where it fails, it is still there to be forgotten
                self._erase_feedback(turn, sparse)
            self._ports.conversations.replace(now, seen=turn.seen)
            if not turn.plain:
                self._withdraw_erased(served.answer, index_version)
        except BaseException:
            self._served.drop(served.answer.id)
            raise
        if turn.gone is not None:
            self._served.forget(conversation=turn.seen.id)
            self._erase_feedback(turn, sparse)  # what was given meanwhile

    def _erase_feedback(self, turn: Turn, sparse: SparseEncoder) -> None:
        erase_feedback(self._ports.feedback, turn.seen.id, gone=turn.gone or (), sparse=sparse)

    def _withdraw_erased(self, answer: Answer, index_version: str) -> None:
        """Whoever erases a document publishes an index without it and looks through conversations
        then: as long as no other is published, they find the turn that is stored by now."""
        if self._ports.index.version() == index_version:
            return
        erased = erased_among(tuple(sorted(rests_on(answer))), self._ports.documents)
        if erased:
            self._served.drop(answer.id)
            forget_quotes(erased, self._ports.conversations)
