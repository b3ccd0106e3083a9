"""Conversations: begin one, take a turn in it, forget what was said, delete it.

Does not know: where conversations are kept, how an answer is made, HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from llm_engineering.application.rag.facts import (
    asks_about_reader,
    left_over,
    meant,
    only_states,
    redacted,
    relevant,
    stated,
)
from llm_engineering.application.rag.forgetting import Wish, forget_what
from llm_engineering.application.rag.memory import (
    Recalled,
    condensed,
    emptied,
    recall,
    with_turns,
    without,
)
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.application.rag.prompts import (
    FORGOT,
    FORGOT_ALL,
    NOTED,
    NOTHING_TO_FORGET,
    TOLD,
)
from llm_engineering.domain.conversations import Conversation, ConversationTurn, Remembered
from llm_engineering.domain.errors import InvalidInput, NotFound
from llm_engineering.domain.served import ServedAnswer
from llm_engineering.ports.models import ChatModel, SparseEncoder
from llm_engineering.ports.stores import ConversationStore, FeedbackStore

CONVERSATIONS, TURNS, CHARACTERS = 100, 400, 1_000_000
"""Of one owner; of one conversation, both sides counted."""

Gone = tuple[Remembered | str, ...]
"""What is forgotten: facts, and words in which something was said. () for everything."""


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
    gone: Gone | None = None
    """What the reader wants forgotten; None for nothing."""


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
    gone: Gone | None = None
    wish = forget_what(question)
    if wish is not None:
        gone = _gone(conversation, wish, sparse)
        now, plain = _forgetting(conversation, gone, sparse)
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
    turn: Turn, question: str, served: ServedAnswer, *, sparse: SparseEncoder
) -> Conversation:
    """The conversation with both sides of the turn."""
    answer, at = served.answer, served.at
    if turn.gone:
        question = redacted(question, turn.gone, sparse=sparse)
    kept = answer.model_copy(update={"passages": (), "question": question})
    # What it was made from: passages, and what earlier answers that it was shown rest on.
    read = sorted({each.document.id for each in answer.passages} | set(served.earlier))
    return with_turns(
        turn.now,
        ConversationTurn(role="user", text=question, at=at),
        ConversationTurn(
            role="assistant", text=answer.text, at=at, answer=kept, read=tuple(sorted(read))
        ),
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
    store: FeedbackStore,
    conversation_id: str,
    *,
    gone: Gone,
    sparse: SparseEncoder,
    owner: str | None = None,
) -> int:
    """Delete feedback on the conversation that says something of `gone`; None: whoever's."""
    doomed = []
    for each in store.find():
        if each.conversation == conversation_id and owner in {None, each.owner}:
            texts = (*(turn.content for turn in each.prompt), each.served, each.edit or "")
            if not gone or any(_tells(text, gone, sparse) for text in texts):
                doomed.append(each.id)
    return store.remove(doomed)


def _gone(conversation: Conversation, wish: Wish, sparse: SparseEncoder) -> Gone | None:
    """Never () but for everything."""
    if wish.everything:
        return () if conversation.turns else None
    gone: list[Remembered | str] = []
    for what in wish.about:
        facts = meant(what, conversation.remembered, sparse=sparse)
        gone += facts
        if left_over(what, facts, sparse=sparse) or not facts:
            said = any(_tells(turn.text, (what,), sparse) for turn in conversation.turns)
            gone += [what] if said else []
    if wish.last:
        gone += [turn.text for turn in conversation.turns if turn.role == "user"][-1:]
    return tuple(dict.fromkeys(gone)) or None


def _forgetting(
    conversation: Conversation, gone: Gone | None, sparse: SparseEncoder
) -> tuple[Conversation, str]:
    """The conversation without it, and what the reader is told."""
    if gone is None:
        return conversation, NOTHING_TO_FORGET
    if not gone:
        return emptied(conversation), FORGOT_ALL
    return without(conversation, gone, sparse=sparse), FORGOT.format(number=len(gone))


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
