"""Trace: what is told of an answer afterwards.

Does not know: who is told, or whether the answer was streamed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_engineering.application.rag.preparing import Prepared
from llm_engineering.domain.chat import Answer, ChatRequest, Passage, Step
from llm_engineering.domain.traces import Attribute, Span, Text, Trace, TraceParent

LONGEST = 16_000
"""Characters of one text that a trace holds; the rest is left out."""


@dataclass(frozen=True, slots=True)
class Course:
    """How an answer went, as far as it went."""

    request_id: str
    started: float
    """In seconds since 1970, as `ended`."""
    ended: float
    waited_ms: float = 0.0
    """In line, before retrieval began."""
    first_ms: float | None = None
    """From the beginning to the first piece of the text."""
    outcome: str = ""
    error: str = ""
    """Kind of what went wrong, and the same in words."""
    reason: str = ""
    prepared: Prepared | None = None
    answer: Answer | None = None
    model: str = ""
    """Which one was to speak."""
    index_version: str = ""
    reranker: str = ""
    """'' when none ran."""
    attributes: Mapping[str, Attribute] | None = None
    """What else is known, such as the route."""
    parent: TraceParent | None = None


def trace_of(course: Course, *, question: str, texts: bool) -> Trace:
    """The answer with its retrieval, reranking and generation; without `texts` nothing that was
    asked, found or said, but how long it was and where it is from.

    The parts are placed one after the other, by what each of them took.
    """
    prepared, answer = course.prepared, course.answer
    spans: list[Span] = []
    failed = {"error": course.error, "reason": course.reason if texts else ""}
    if prepared is not None:
        begun = course.started + course.waited_ms / 1e3
        found_at = begun + sum(prepared.timings_ms.values()) / 1e3
        if prepared.timings_ms:
            spans.append(_retrieval(course, prepared, begun, found_at, texts=texts))
        spans += _steps(prepared.steps, begun, texts=texts)
        if course.reranker:
            spans.append(_rerank(course, prepared, begun))
        if prepared.request is not None:
            spans.append(_generation(course, prepared.request, found_at, failed, texts=texts))
        if answer is not None:
            chosen = [step for step in answer.steps if step.kind == "draft"]
            spans += _steps(chosen, found_at, texts=texts)
    root = Span(
        name="answer",
        started=course.started,
        ended=course.ended,
        attributes=_whole(course, question=question),
        inputs=_kept([("user", question)]) if texts else (),
        outputs=_kept([("assistant", answer.text)]) if texts and answer else (),
        **failed,
    )
    return Trace(course.request_id, root, tuple(spans), course.parent)


def _whole(course: Course, *, question: str) -> dict[str, Attribute]:
    known: dict[str, Attribute | None] = {
        **(course.attributes or {}),
        "twin.request.id": course.request_id,
        "twin.outcome": course.outcome,
        "twin.index.version": course.index_version,
        "twin.queue.ms": course.waited_ms,
        "twin.first_token.ms": course.first_ms,
        "twin.question.characters": len(question),
        "gen_ai.request.model": course.model,
    }
    if answer := course.answer:
        known |= {
            "twin.answer.characters": len(answer.text),
            "twin.abstained": answer.abstained,
            "twin.evidence": answer.evidence,
            **_grounding(answer),
            "twin.citations": tuple(
                f"{cited.document_id}:{cited.start}-{cited.end}" for cited in answer.citations
            ),
            "gen_ai.response.model": answer.model,
        }
    return _known(known)


def _grounding(answer: Answer) -> dict[str, Attribute]:
    checked = answer.grounding
    if checked is None:
        return {}
    return {
        "twin.groundedness": checked.share,
        "twin.grounding.replaced": checked.replaced,
        "twin.grounding.withdrawn": checked.withdrawn,
        "twin.grounding.ms": answer.timings_ms.get("check", 0.0),
        "twin.changes": len(answer.changes),
    }


def _retrieval(
    course: Course, prepared: Prepared, begun: float, ended: float, *, texts: bool
) -> Span:
    passages = prepared.passages
    found = [(f"{passage.document.title} {_place(passage)}", passage.text) for passage in passages]
    return Span(
        name="retrieval",
        started=begun,
        ended=ended,
        attributes={
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": course.index_version,
            "twin.index.version": course.index_version,
            "twin.evidence": prepared.evidence,
            "twin.passages": tuple(map(_place, passages)),
            **{f"twin.{stage}.ms": ms for stage, ms in prepared.timings_ms.items()},
        },
        inputs=_kept([("query", prepared.question)]) if texts else (),
        outputs=_kept(found) if texts else (),
    )


def _steps(steps: Sequence[Step], begun: float, *, texts: bool) -> list[Span]:
    """What was planned, searched for, read and chosen, one after the other."""
    spans: list[Span] = []
    for step in steps:
        ended = begun + step.took_ms / 1e3
        spans.append(
            Span(
                name=step.kind,
                started=begun,
                ended=ended,
                attributes={"twin.step.documents": step.document_ids},
                inputs=_kept([("step", step.text)]) if texts else (),
            )
        )
        begun = ended
    return spans


def _rerank(course: Course, prepared: Prepared, begun: float) -> Span:
    stages = list(prepared.timings_ms)
    before = stages[: stages.index("rerank")] if "rerank" in stages else stages
    at = begun + sum(prepared.timings_ms[stage] for stage in before) / 1e3
    return Span(
        name="rerank",
        started=at,
        ended=at + prepared.timings_ms.get("rerank", 0.0) / 1e3,
        attributes={"twin.reranker": course.reranker},
    )


def _generation(
    course: Course,
    request: ChatRequest,
    begun: float,
    failed: Mapping[str, str],
    *,
    texts: bool,
) -> Span:
    sampling, answer = request.sampling, course.answer
    known: dict[str, Attribute | None] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "llm_twin",
        "gen_ai.request.model": course.model,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.seed": sampling.seed,
        "gen_ai.request.stop_sequences": sampling.stop or None,
        "twin.prompt.characters": sum(len(message.content) for message in request.messages),
    }
    if answer is not None:
        known |= {
            "gen_ai.response.model": answer.model,
            "gen_ai.response.finish_reasons": (answer.finish_reason,),
            "gen_ai.usage.input_tokens": answer.usage.prompt_tokens,
            "gen_ai.usage.output_tokens": answer.usage.completion_tokens,
            "twin.answer.characters": len(answer.text),
        }
    asked = [(message.role.value, message.content) for message in request.messages]
    return Span(
        name="generation",
        started=begun,
        ended=course.ended,
        attributes=_known(known),
        inputs=_kept(asked) if texts else (),
        outputs=_kept([("assistant", answer.text)]) if texts and answer else (),
        **failed,
    )


def _known(attributes: Mapping[str, Attribute | None]) -> dict[str, Attribute]:
    return {name: value for name, value in attributes.items() if value is not None}


def _kept(texts: Sequence[Text]) -> tuple[Text, ...]:
    return tuple((name, text[:LONGEST]) for name, text in texts)


def _place(passage: Passage) -> str:
    return f"{passage.document.id}:{passage.start}-{passage.end}"
