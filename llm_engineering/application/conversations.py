"""Conversations: begin one, take a turn in it, forget what was said, delete it.

Does not know: where conversations are kept, how an answer is made, HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from llm_engineering.application.rag.facts import (
    asks_about_reader,
    forget_what,
    meant,
    only_states,
    redacted,
    relevant,
    stated,
)
from llm_engineering.application.rag.memory import (
    Recalled,
    condensed,
    recall,
    with_turns,
    without,
)
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.application.rag.prompts import FORGOT, NOTED, NOTHING_TO_FORGET, TOLD
from llm_engineering.domain.chat import Answer
from llm_engineering.domain.conversations import Conversation, ConversationTurn, Remembered
from llm_engineering.domain.errors import InvalidInput, NotFound
from llm_engineering.ports.models import ChatModel, SparseEncoder
from llm_engineering.ports.stores import ConversationStore, FeedbackStore

CONVERSATIONS, TURNS, CHARACTERS = 100, 400, 1_000_000
"""Of one owner; of one conversation, both sides counted."""

Gone = tuple[Remembered | str, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of a conversation, before it is answered."""

    seen: Conversation
    """As it is kept."""
    now: Conversation
    """As it is to be, but for the turn itself."""
    recalled: Recalled
    plain: str = ""
    """What is answered without the author's writing; '' to ask for an answer."""
    gone: Gone = field(default=())
    """What the reader wants forgotten."""


def begin(store: ConversationStore, *, owner: str, now: datetime) -> Conversation:
    """Raises InvalidInput for one too many."""
    if len(store.of(owner)) >= CONVERSATIONS:
        raise InvalidInput(
            f"you have {CONVERSATIONS} conversations, as many as are kept; delete one with "
            "'DELETE /conversations/{id}'"
        )
    begun = Conversation(id=uuid4().hex, owner=owner, created_at=now, updated_at=now)
    store.add(begun)
    return begun


def take_turn(
    conversation: Conversation,
    question: str,
    *,
    config: AnswerConfig,
    chat: ChatModel,
    sparse: SparseEncoder,
) -> Turn:
    """What the question is answered with.

    Raises InvalidInput for a conversation that is full, and what the chat model raises.
    """
    _check_room(conversation)
    now, plain = conversation, ""
    gone: Gone = ()
    what = forget_what(question)
    if what is not None:
        gone = _gone(conversation, what, sparse)
        now = without(conversation, gone, sparse=sparse)
        plain = FORGOT.format(number=len(gone)) if gone else NOTHING_TO_FORGET
    elif only_states(question):
        plain = NOTED.format(facts=_quoted(stated(question)))
    elif asks_about_reader(question) and (
        facts := relevant(question, conversation.remembered, sparse=sparse)
    ):
        plain = TOLD.format(facts=_quoted([fact.text for fact in facts[:3]]))
    if not plain:
        now = condensed(now, config=config, chat=chat)
    recalled = recall(now, question, config=config, chat=chat, sparse=sparse)
    return Turn(seen=conversation, now=now, recalled=recalled, plain=plain, gone=gone)


def answered(
    turn: Turn, question: str, answer: Answer, *, at: datetime, sparse: SparseEncoder
) -> Conversation:
    """The conversation with both sides of the turn."""
    if turn.gone:
        question = redacted(question, turn.gone, sparse=sparse)
    kept = answer.model_copy(update={"passages": (), "question": question})
    return with_turns(
        turn.now,
        ConversationTurn(role="user", text=question, at=at),
        ConversationTurn(role="assistant", text=answer.text, at=at, answer=kept),
    )


def forget_remembered(
    conversation: Conversation, remembered_id: str, *, sparse: SparseEncoder
) -> tuple[Conversation, Gone]:
    """Raises NotFound when nothing of that id is remembered."""
    gone = tuple(fact for fact in conversation.remembered if fact.id == remembered_id)
    if not gone:
        raise NotFound(
            f"nothing {remembered_id[:80]!r} is remembered; 'GET /conversations/"
            f"{conversation.id}' shows what is"
        )
    return without(conversation, gone, sparse=sparse), gone


def erase_feedback(
    store: FeedbackStore, conversation_id: str, *, gone: Gone = (), sparse: SparseEncoder
) -> int:
    """Delete feedback on the conversation; with `gone`, only where it says something of that."""
    doomed = []
    for each in store.find():
        if each.conversation == conversation_id:
            texts = (*(turn.content for turn in each.prompt), each.served, each.edit or "")
            if not gone or any(_tells(text, gone, sparse) for text in texts):
                doomed.append(each.id)
    return store.remove(doomed)


def _gone(conversation: Conversation, what: str, sparse: SparseEncoder) -> Gone:
    facts = meant(what, conversation.remembered, sparse=sparse)
    if facts or not what:
        return facts
    said = any(_tells(turn.text, (what,), sparse) for turn in conversation.turns)
    return (what,) if said else ()


def _tells(text: str, gone: Gone, sparse: SparseEncoder) -> bool:
    return redacted(text, gone, sparse=sparse) != text.strip()


def _quoted(texts: Sequence[str]) -> str:
    return " ".join(f"“{text}”" for text in texts)


def _check_room(conversation: Conversation) -> None:
    if len(conversation.turns) + 2 > TURNS:
        raise InvalidInput(
            f"the conversation has {TURNS} turns, as many as are kept; begin another"
        )
    if sum(len(turn.text) for turn in conversation.turns) > CHARACTERS:
        raise InvalidInput(
            f"the conversation has over {CHARACTERS:,} characters, as many as are kept; begin "
            "another"
        )
