"""No field of a kept answer tells what its reader has asked to have forgotten."""

from datetime import UTC, datetime

from llm_engineering.application.rag.memory import without
from llm_engineering.domain.chat import (
    Answer,
    CheckedSentence,
    Citation,
    Grounding,
    Step,
    ToolCall,
    Verdict,
)
from llm_engineering.domain.conversations import Conversation, ConversationTurn, Remembered
from llm_engineering.infrastructure.bm25 import Bm25Encoder

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NAME = Remembered(id="f", text="My name is Zenobia.", turn=0)
CITED = Citation(
    document_id="d", title="t", url="u", author="a", start=0, end=9, quote="A backup is one copy."
)


def kept(text: str, *, withdrawn: int = 0) -> Conversation:
    said = CheckedSentence(start=0, end=len(text), verdict=Verdict.SAID, source=CITED)
    answer = Answer(
        question="What is a backup? I am Zenobia.",
        text=text,
        abstained=False,
        citations=(CITED,),
        passages=(),
        evidence=1,
        model="m",
        grounding=Grounding(sentences=(said,), withdrawn=withdrawn),
        steps=(
            Step(kind="plan", text="Two parts. Zenobia asks for a backup.", document_ids=("d",)),
            Step(kind="search", text="Zenobia backup", document_ids=("d",)),
            Step(kind="read", text="1 of 2 passages", document_ids=("d",)),
        ),
        tool_calls=(ToolCall(id="1", name="look_up", arguments='{"name": "Zenobia"}'),),
    )
    turns = (
        ConversationTurn(role="user", text="My name is Zenobia. What is a backup?", at=NOW),
        ConversationTurn(role="assistant", text=text, at=NOW, answer=answer),
    )
    return Conversation(
        id="c", owner="", created_at=NOW, updated_at=NOW, turns=turns, remembered=(NAME,)
    )


def test_what_is_forgotten_is_in_no_field_of_the_answer() -> None:
    now = without(kept("A backup is one copy. Do you see, Zenobia?"), [NAME], sparse=Bm25Encoder())

    assert "Zenobia" not in now.model_dump_json()
    [_, turn] = now.turns
    assert turn.answer is not None
    assert turn.text == turn.answer.text == "A backup is one copy. [forgotten]"
    assert [step.text for step in turn.answer.steps] == [
        "Two parts. [forgotten]",
        "[forgotten]",
        "1 of 2 passages",
    ]
    assert {step.document_ids for step in turn.answer.steps} == {("d",)}
    assert turn.answer.citations == (CITED,)


def test_an_answer_that_does_not_tell_it_keeps_its_grounding() -> None:
    before = kept("A backup is one copy.").turns[1].answer
    after = without(kept("A backup is one copy."), [NAME], sparse=Bm25Encoder()).turns[1].answer

    assert before is not None
    assert after is not None
    assert after.grounding == before.grounding


def test_what_was_taken_back_does_not_stand_again_where_something_is_forgotten() -> None:
    back = "It never fails. "
    told = kept(back + "A backup is one copy. Do you see, Zenobia?", withdrawn=len(back))

    [_, turn] = without(told, [NAME], sparse=Bm25Encoder()).turns

    assert turn.standing == "A backup is one copy. [forgotten]"
