"""Answer: find passages, judge the evidence, let the chat model speak or abstain."""

import time
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.application.rag.find import SearchPorts, find, support
from llm_engineering.application.rag.prompts import ABSTENTION, render
from llm_engineering.application.rag.retrieve import RetrievalConfig
from llm_engineering.application.rag.stages import StagesConfig
from llm_engineering.domain.chat import Answer, ChatRequest, Completion, Message, Passage
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter


class AnswerConfig(BaseModel):
    """How a question is answered (configs/rag.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retrieval: RetrievalConfig = RetrievalConfig()
    stages: StagesConfig = StagesConfig()
    min_evidence: float = Field(default=0.23, ge=0, le=1)
    """Abstain below this; see `evidence`. Chosen on half of the questions that it was fitted on."""
    max_tokens: int = Field(default=512, ge=16)
    """Longest answer, in the chat model's tokens."""


def answer(
    question: str,
    *,
    config: AnswerConfig,
    ports: SearchPorts,
    where: DocumentFilter = EVERYTHING,
    history: Sequence[Message] = (),
) -> Answer:
    """Answer with citations, or abstain in plain words. Raises as `find` does."""
    started = time.perf_counter()
    findings = find(
        question,
        retrieval=config.retrieval,
        stages=config.stages,
        ports=ports,
        where=where,
        history=history,
    )
    passages = tuple(found.passage for found in findings.found)
    judging = time.perf_counter()
    judged = support(findings, ports=ports)
    asked = time.perf_counter()
    if not passages or judged < config.min_evidence:
        completion = Completion(text="", abstained=True)
    else:
        completion = ports.chat.complete(_request(findings.standalone, passages, config))
    done = time.perf_counter()
    refusal = findings.not_held or ABSTENTION
    return Answer(
        question=question.strip(),
        text=refusal if completion.abstained else completion.text,
        abstained=completion.abstained,
        citations=() if completion.abstained else completion.citations,
        passages=passages,
        evidence=round(judged, 4),
        model=ports.chat.name,
        timings_ms={
            **findings.timings_ms,
            "judge": (asked - judging) * 1e3,
            "answer": (done - asked) * 1e3,
            "total": (done - started) * 1e3,
        },
        usage=completion.usage,
    )


def _request(question: str, passages: tuple[Passage, ...], config: AnswerConfig) -> ChatRequest:
    return ChatRequest(
        messages=render(question, passages),
        question=question,
        passages=passages,
        max_tokens=config.max_tokens,
    )
