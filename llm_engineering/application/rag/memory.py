"""What a model reads of a conversation that is kept: facts, a summary of old turns, the last turns.

All of it fits into `history_tokens` as the model counts. Each turn is summarised once, when the
turns that are not yet summarised have outgrown their room.

Does not know: where conversations are kept, HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from llm_engineering.application.rag.facts import redacted, relevant, sentences, stated
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.application.rag.prompts import (
    REMEMBERED,
    SUMMARISE,
    TURN,
)
from llm_engineering.domain.chat import ChatRequest, Message, Role
from llm_engineering.domain.conversations import Conversation, ConversationTurn, Remembered
from llm_engineering.ports.models import ChatModel, SparseEncoder

_LONGEST_FACTS = 200
"""Facts of one conversation; the oldest make room."""
_LONGEST_LINE = 160
"""Characters of a turn in an extractive summary."""
_LONGEST_TURN = 800
"""Characters of a turn that a model is shown to summarise."""
_AT_ONCE = 8
"""Turns that a model summarises before one answer."""
_SPARE = 48
"""Tokens of the frame around summary and facts."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What the answer to the next question is made with."""

    history: tuple[Message, ...]
    """The note first, then every turn: what does not fit, `history_tokens` leaves out."""
    config: AnswerConfig
    """With what the note takes taken off `history_tokens`."""


def recall(
    conversation: Conversation,
    question: str,
    *,
    config: AnswerConfig,
    chat: ChatModel,
    sparse: SparseEncoder,
) -> Recalled:
    """Facts get at most a quarter of the room, the summary another, turns what is left."""
    within = config.within(chat.capabilities.context)
    quarter = within.history_tokens // 4
    facts = _fitting(question, conversation.remembered, tokens=quarter, chat=chat, sparse=sparse)
    note = _note(facts, conversation.summary)
    left = within.history_tokens
    history: list[Message] = []
    if note and (took := chat.count_tokens(note)) <= within.history_tokens:
        history.append(Message(role=Role.SYSTEM, content=note))
        left -= took
    history += [Message(role=Role(turn.role), content=turn.standing) for turn in conversation.turns]
    rewrite = config.stages.rewrite
    if rewrite.mode == "off":
        rewrite = rewrite.model_copy(update={"mode": "terms"})
    stages = config.stages.model_copy(update={"rewrite": rewrite})
    return Recalled(
        tuple(history), config.model_copy(update={"history_tokens": left, "stages": stages})
    )


def condensed(conversation: Conversation, *, config: AnswerConfig, chat: ChatModel) -> Conversation:
    """With a summary that covers every turn that will not be read word for word.

    Raises what the chat model raises.
    """
    tokens = config.within(chat.capabilities.context).history_tokens
    room = tokens // 2
    sizes = [chat.count_tokens(turn.text) for turn in conversation.turns]
    if sum(sizes[conversation.summarised :]) <= room:
        return conversation
    upto, left = len(sizes), room // 2
    while upto > conversation.summarised and sizes[upto - 1] <= left:
        upto -= 1
        left -= sizes[upto]
    turns = conversation.turns[conversation.summarised : upto]
    summary = conversation.summary
    if len(turns) > _AT_ONCE:  # made anew: a model is not asked for all of it while a reader waits
        summary = _extract(summary, turns[:-_AT_ONCE], tokens=tokens // 4, chat=chat)
        turns = turns[-_AT_ONCE:]
    for start in range(0, len(turns), 4):
        summary = _summary(summary, turns[start : start + 4], tokens=tokens // 4, chat=chat)
    return conversation.model_copy(update={"summary": summary, "summarised": upto})


def with_turns(conversation: Conversation, *turns: ConversationTurn) -> Conversation:
    """The conversation with these after it, and what its reader stated in them."""
    facts = list(conversation.remembered)
    for number, turn in enumerate(turns, start=len(conversation.turns)):
        if turn.role != "user":
            continue
        for text in stated(turn.text):
            key = str(uuid5(NAMESPACE_URL, f"{conversation.id}\n{number}\n{text}"))
            facts.append(Remembered(id=key, text=text, turn=number))
    return conversation.model_copy(
        update={
            "turns": (*conversation.turns, *turns),
            "remembered": tuple(facts[-_LONGEST_FACTS:]),
            "updated_at": turns[-1].at,
        }
    )


def emptied(conversation: Conversation) -> Conversation:
    """Everything is forgotten. Answers go too: they may say again what the reader said."""
    return conversation.model_copy(
        update={"turns": (), "remembered": (), "summary": "", "summarised": 0}
    )


def without(
    conversation: Conversation, gone: Sequence[Remembered | str], *, sparse: SparseEncoder
) -> Conversation:
    """Forgotten everywhere: among the facts, in every turn, in the summary.

    The summary is made anew from the turns as they are now; the model that wrote the old one may
    have put what is forgotten in words of its own.
    """
    if not gone:
        return conversation
    ids = {fact.id for fact in gone if isinstance(fact, Remembered)}
    turns = tuple(_without(turn, gone, sparse) for turn in conversation.turns)
    return conversation.model_copy(
        update={
            "turns": turns,
            "remembered": tuple(
                fact
                for fact in conversation.remembered
                if fact.id not in ids and redacted(fact.text, gone, sparse=sparse) == fact.text
            ),
            "summary": "",
            "summarised": 0,
        }
    )


def _without(
    turn: ConversationTurn, gone: Sequence[Remembered | str], sparse: SparseEncoder
) -> ConversationTurn:
    def less(text: str) -> str:
        left = redacted(text, gone, sparse=sparse)
        return text if left == text.strip() else left

    answer, text = turn.answer, less(turn.text)
    if answer is not None:
        said: dict[str, object] = {
            "question": less(answer.question),
            "steps": tuple(
                step.model_copy(update={"text": less(step.text)}) for step in answer.steps
            ),
            "tool_calls": tuple(
                call for call in answer.tool_calls if less(call.arguments) == call.arguments
            ),
        }
        if text != turn.text:  # offsets into the text mean nothing any more
            text = less(turn.standing)
            said |= {"text": text, "grounding": None}
        answer = answer.model_copy(update=said)
    return turn.model_copy(update={"text": text, "answer": answer})


def _fitting(
    question: str,
    facts: Sequence[Remembered],
    *,
    tokens: int,
    chat: ChatModel,
    sparse: SparseEncoder,
) -> list[Remembered]:
    """Those that matter for the question first, then the latest, as many as fit; in their order."""
    ranked = dict.fromkeys((*relevant(question, facts, sparse=sparse), *reversed(facts)))
    kept, left = [], tokens
    for fact in ranked:
        if (size := chat.count_tokens(f"- {fact.text}\n")) <= left:
            kept.append(fact)
            left -= size
    return sorted(kept, key=lambda fact: (fact.turn, fact.id))


def _note(facts: Sequence[Remembered], summary: str) -> str:
    if not facts and not summary:
        return ""
    lines = [f"- {_flat(fact.text)}" for fact in facts]
    return REMEMBERED.format(facts="\n".join(lines) or "- nothing", summary=_flat(summary) or "-")


def _summary(
    before: str, turns: Sequence[ConversationTurn], *, tokens: int, chat: ChatModel
) -> str:
    tokens = max(tokens - _SPARE, 16)
    if chat.generates:
        shown = "\n".join(
            TURN.format(role=turn.role.capitalize(), text=_cut(turn.standing, _LONGEST_TURN))
            for turn in turns
        )
        prompt = SUMMARISE.format(summary=before or "-", turns=shown)
        context = chat.capabilities.context
        if context is None or chat.count_tokens(prompt) + tokens + _SPARE <= context:
            said = chat.complete(
                ChatRequest(
                    messages=(Message(role=Role.USER, content=prompt),),
                    question=prompt,
                    max_tokens=tokens,
                )
            )
            text = " ".join(said.text.split())
            whole = said.finish_reason == "stop" and not said.abstained
            if text and whole and chat.count_tokens(text) <= tokens:
                return text
    return _extract(before, turns, tokens=tokens, chat=chat)


def _extract(
    before: str, turns: Sequence[ConversationTurn], *, tokens: int, chat: ChatModel
) -> str:
    """The first sentence of each turn; the oldest go when it grows too long."""
    said = [f"{'Reader' if turn.role == 'user' else 'Twin'}: {_first(turn.text)}" for turn in turns]
    lines = [line for line in (*before.split(" | "), *said) if line]
    while lines and chat.count_tokens(" | ".join(lines)) > tokens:
        del lines[0]
    return " | ".join(lines)


def _first(text: str) -> str:
    return _cut(sentences(_flat(text))[0].strip(), _LONGEST_LINE)


def _cut(text: str, length: int) -> str:
    flat = _flat(text)
    return flat if len(flat) <= length else f"{flat[:length]} …"


def _flat(text: str) -> str:
    """One line, in which nothing can look like the end of what surrounds it."""
    return " ".join(text.replace("<", "‹").replace(">", "›").split())
