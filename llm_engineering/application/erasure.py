"""Erase documents: from the store, the index, feedback and conversations; taint what learnt them.

Safe to repeat: a run that was cut off is finished by the next.
Does not know: HTTP. What a server holds in memory it checks against the store itself.
"""

from collections.abc import Collection
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from llm_engineering.domain.chat import Answer
from llm_engineering.domain.conversations import Conversation, ConversationTurn
from llm_engineering.domain.errors import Conflict, IndexEmpty, NotFound
from llm_engineering.ports.jobs import ModelRegistry
from llm_engineering.ports.stores import (
    ConversationStore,
    DocumentStore,
    FeedbackStore,
    VectorIndex,
)

_ATTEMPTS = 20
"""At conversations that readers go on with meanwhile."""
ERASED = "[This answer quoted writing that was erased.]"


class ErasureReport(BaseModel):
    """What was erased, in numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    documents: int
    """That were alive."""
    chunks: int
    """In the index; before the first is published, in a build of it that was cut off."""
    feedback: int
    conversations: int
    """That quoted one of the documents."""
    tainted: tuple[str, ...]
    """Versions that were trained on one of them, or start from such a version."""


def erase_documents(
    document_ids: Collection[str],
    *,
    documents: DocumentStore,
    index: VectorIndex,
    feedback: FeedbackStore,
    conversations: ConversationStore,
    models: ModelRegistry,
    now: datetime,
) -> ErasureReport:
    """The tombstone comes first: from then on, a running server takes no feedback on them.

    Raises BackendUnavailable while another process builds the index; run it again then.
    """
    gone = frozenset(document_ids)
    alive = documents.erase(sorted(gone), at=now)
    tainted = models.taint(sorted(gone), reason="one of its documents was erased")
    rated = feedback.remove(
        [each.id for each in feedback.find() if gone.intersection(each.document_ids)]
    )
    # The index before the conversations: what is not found is not quoted again meanwhile.
    chunks = _unindexed(gone, index)
    return ErasureReport(
        documents=alive,
        chunks=chunks,
        feedback=rated,
        conversations=forget_quotes(gone, conversations),
        tainted=tainted,
    )


def forget_quotes(gone: frozenset[str], conversations: ConversationStore) -> int:
    """Take answers that rest on these documents out of all conversations; returns how many changed.

    Raises Conflict when one goes on and on; what was done by then stays done.
    """
    talked = 0
    for _ in range(_ATTEMPTS):
        changing = False
        for each in conversations.all():
            if (now_without := _without(each, gone)) == each:
                continue
            try:
                conversations.replace(now_without, seen=each)
                talked += 1
            except NotFound:  # deleted meanwhile, with all that it told
                continue
            except Conflict:
                changing = True
        if not changing:
            return talked
    raise Conflict("a conversation that quotes what was erased keeps changing; run it again")


def _unindexed(gone: frozenset[str], index: VectorIndex) -> int:
    try:
        manifest = index.manifest()
    except IndexEmpty:
        return _unstaged(gone, index)
    build = index.build(manifest)
    try:
        found = {entry.chunk.id for entry in build.entries() if entry.chunk.document.id in gone}
        build.remove(sorted(found))
        # Also where nothing is found: what was removed before may still be on the disk, and what a
        # run removed that was cut off is not published yet.
        build.publish(forget=True)
    finally:
        build.release()
    return len(found)


def _unstaged(gone: frozenset[str], index: VectorIndex) -> int:
    """Nothing is published: a first build may have been cut off that holds something of it.

    It goes whole, for where it is kept what was removed stays readable; the next build starts over.
    """
    build = index.interrupted()
    if build is None:
        return 0
    try:
        found = {entry.chunk.id for entry in build.entries() if entry.chunk.document.id in gone}
        if found:
            build.discard()
    finally:
        build.release()
    return len(found)


def _without(conversation: Conversation, gone: frozenset[str]) -> Conversation:
    turns = tuple(_turn_without(turn, gone) for turn in conversation.turns)
    if turns == conversation.turns:
        return conversation
    return conversation.model_copy(update={"turns": turns, "summary": "", "summarised": 0})


def _turn_without(turn: ConversationTurn, gone: frozenset[str]) -> ConversationTurn:
    """An answer that rests on one of them goes whole: its words may be the document's."""
    if not gone & told_from(turn):
        return turn
    return ConversationTurn(role=turn.role, text=ERASED, at=turn.at)


def told_from(turn: ConversationTurn) -> frozenset[str]:
    """Ids of the documents that a kept turn rests on, or was made from without naming them."""
    return frozenset(turn.read) | (rests_on(turn.answer) if turn.answer else frozenset())


def rests_on(answer: Answer) -> frozenset[str]:
    """Ids of the documents that it cites, or quotes without a mark, or was made from."""
    checked = answer.grounding.sentences if answer.grounding else ()
    quoted = [
        *answer.citations,
        *(each.source for each in checked if each.source is not None),
        *(each for change in answer.changes for each in (change.before, change.after)),
    ]
    found = {document for step in answer.steps for document in step.document_ids}
    read = {passage.document.id for passage in answer.passages}
    return frozenset(found | read | {each.document_id for each in quoted})
