"""What is told of an answer."""

from dataclasses import replace

import pytest

from llm_engineering.application.rag.answer import answer
from llm_engineering.application.rag.preparing import AnswerConfig, Prepared, prepare
from llm_engineering.application.rag.traced import LONGEST, Course, trace_of
from llm_engineering.domain.chat import Answer, Step
from llm_engineering.domain.traces import Span, Trace
from tests.unit.chatting import ScriptedChat
from tests.unit.serving import NOTES, QUESTION, indexed_app

SAID = "A backup is then one copy of the database file [1]. Nobody said so."


@pytest.fixture(scope="module")
def course() -> Course:
    """Of an answer from an index of three notes."""
    ports = indexed_app(chat=ScriptedChat(SAID)).search_ports
    prepared: Prepared = prepare(QUESTION, config=AnswerConfig(), ports=ports)
    given: Answer = answer(QUESTION, config=AnswerConfig(), ports=ports)
    return Course(
        request_id="r1",
        started=100.0,
        ended=103.0,
        waited_ms=500.0,
        first_ms=1_500.0,
        outcome="answered",
        prepared=replace(prepared, timings_ms={"embed": 200.0, "rerank": 300.0, "judge": 100.0}),
        answer=given,
        model="twin-7",
        index_version="gen-1",
        reranker="cross",
        attributes={"http.route": "/rag"},
    )


def named(trace: Trace, name: str) -> Span:
    (span,) = (each for each in trace.spans if each.name == name)
    return span


def test_the_parts_are_placed_by_what_they_took(course: Course) -> None:
    trace = trace_of(course, question=QUESTION, texts=True)

    placed = {span.name: (span.started, span.ended) for span in (trace.root, *trace.spans)}
    assert {name: pytest.approx(at) for name, at in placed.items()} == {
        "answer": (100.0, 103.0),
        "retrieval": (100.5, 101.1),
        "rerank": (100.7, 101.0),
        "generation": (101.1, 103.0),
    }
    assert [span.name for span in trace.spans] == ["retrieval", "rerank", "generation"]


def test_versions_figures_and_places_are_told(course: Course) -> None:
    trace = trace_of(course, question=QUESTION, texts=False)
    assert course.answer is not None
    (cited,) = course.answer.citations

    assert trace.root.attributes["twin.index.version"] == "gen-1"
    assert trace.root.attributes["gen_ai.request.model"] == "twin-7"
    assert trace.root.attributes["twin.groundedness"] == 0.5
    assert trace.root.attributes["twin.grounding.replaced"] is False
    assert trace.root.attributes["http.route"] == "/rag"
    assert trace.root.attributes["twin.citations"] == (
        f"{cited.document_id}:{cited.start}-{cited.end}",
    )
    assert trace.root.attributes["twin.question.characters"] == len(QUESTION)
    assert named(trace, "rerank").attributes == {"twin.reranker": "cross"}
    assert named(trace, "retrieval").attributes["twin.embed.ms"] == 200.0
    assert named(trace, "generation").attributes["gen_ai.response.finish_reasons"] == ("stop",)


def test_with_texts_all_of_them_are_told(course: Course) -> None:
    trace = trace_of(course, question=QUESTION, texts=True)

    assert trace.root.inputs == (("user", QUESTION),)
    assert trace.root.outputs == (("assistant", SAID),)
    assert NOTES[0] in [text for _, text in named(trace, "retrieval").outputs]
    assert [role for role, _ in named(trace, "generation").inputs] == ["system", "user"]


def test_without_texts_none_of_them_is_anywhere(course: Course) -> None:
    failed = replace(course, error="invalid-input", reason=f"{QUESTION} is no question")
    told = repr(trace_of(failed, question=QUESTION, texts=False))

    for text in (QUESTION, SAID, *NOTES, "Note 0"):
        assert text not in told
    assert "invalid-input" in told


def test_a_long_text_is_cut(course: Course) -> None:
    trace = trace_of(course, question="x" * (LONGEST + 5), texts=True)

    assert trace.root.inputs == (("user", "x" * LONGEST),)
    assert trace.root.attributes["twin.question.characters"] == LONGEST + 5


def test_an_answer_that_never_came_to_a_model_has_no_generation(course: Course) -> None:
    assert course.prepared is not None
    refused = replace(course, prepared=replace(course.prepared, request=None), reranker="")
    early = replace(course, prepared=None, answer=None, reranker="", error="unexpected")

    assert [s.name for s in trace_of(refused, question="?", texts=True).spans] == ["retrieval"]
    assert trace_of(early, question="?", texts=True).spans == ()
    assert trace_of(early, question="?", texts=True).root.error == "unexpected"


def test_each_step_is_a_part_and_its_words_are_told_only_with_the_texts(course: Course) -> None:
    assert course.prepared is not None
    assert course.answer is not None
    found = (
        Step(kind="plan", text="search for tea", took_ms=50.0),
        Step(kind="search", text="tea", document_ids=("d1",), took_ms=100.0),
    )
    draft = Step(kind="draft", text="draft 2 of 3", took_ms=900.0)
    stepped = replace(
        course,
        prepared=replace(course.prepared, steps=found),
        answer=course.answer.model_copy(update={"steps": (*found, draft)}),
    )
    trace = trace_of(stepped, question=QUESTION, texts=True)
    placed = {name: named(trace, name) for name in ("plan", "search", "draft")}
    times = [time for each in placed.values() for time in (each.started, each.ended)]
    assert times == pytest.approx([100.5, 100.55, 100.55, 100.65, 101.1, 102.0])
    assert placed["search"].inputs == (("step", "tea"),)
    assert placed["search"].attributes["twin.step.documents"] == ("d1",)
    silent = trace_of(stepped, question=QUESTION, texts=False)
    assert all(named(silent, name).inputs == () for name in placed)
