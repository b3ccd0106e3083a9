"""Prepare: find passages, judge the evidence, and render what the chat model is asked.

What threads do, before a model speaks.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.application.rag.agentic import AgenticConfig, gather
from llm_engineering.application.rag.changes import changes
from llm_engineering.application.rag.drafts import UNDRAFTED, Drafting
from llm_engineering.application.rag.find import SearchPorts, support
from llm_engineering.application.rag.grounding import Grounder, GroundingConfig
from llm_engineering.application.rag.history import recent
from llm_engineering.application.rag.prompts import ABSTENTION, direct, disclosure, render
from llm_engineering.application.rag.reading import reader_of
from llm_engineering.application.rag.retrieve import RetrievalConfig
from llm_engineering.application.rag.stages import StagesConfig
from llm_engineering.application.rag.standing import Upholding
from llm_engineering.domain.chat import (
    AS_CONFIGURED,
    ChatRequest,
    Generation,
    Message,
    Passage,
    Role,
    Step,
)
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter

FRAME_TOKENS = 1_000
"""Persona, rules, question, and the titles and addresses of passages, with room to spare."""
_STEP = 256


class AnswerConfig(BaseModel):
    """How a question is answered (configs/rag.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retrieval: RetrievalConfig = RetrievalConfig()
    stages: StagesConfig = StagesConfig()
    agentic: AgenticConfig = AgenticConfig()
    min_evidence: float = Field(default=0.23, ge=0, le=1)
    """Abstain below this; see `evidence`. Chosen on half of the questions that it was fitted on."""
    max_tokens: int = Field(default=512, ge=16)
    """Longest answer, in the chat model's tokens."""
    history_tokens: int = Field(default=1_000, ge=0)
    """What the chat model reads of the conversation before the question, latest turns first."""
    grounding: GroundingConfig = GroundingConfig()

    def upholding(self, ports: SearchPorts) -> Upholding:
        """What holds answers to their evidence."""
        grounder = Grounder(self.grounding, ports.sparse, ports.embedder, ports.entailment)
        return Upholding(grounder, ports.quotes)

    @property
    def context_tokens(self) -> int:
        """Tokens that a prompt and its answer can come to, rounded up."""
        parts = (self.retrieval.budget_tokens, self.history_tokens, self.max_tokens, FRAME_TOKENS)
        return -(-sum(parts) // _STEP) * _STEP

    def within(self, context: int | None) -> "AnswerConfig":
        """For a model whose context is so many tokens; None: not known, so as it is.

        Where that is less than can be filled, a quarter is left to the answer and half to the
        frame; evidence and conversation share the rest.
        """
        if context is None or context >= self.context_tokens:
            return self
        answer = min(self.max_tokens, max(context // 4, 16))
        rest = context - answer - min(FRAME_TOKENS, context // 2)
        history = min(self.history_tokens, rest // 3)
        evidence = min(self.retrieval.budget_tokens, max(rest - history, 50))
        return self.model_copy(
            update={
                "max_tokens": answer,
                "history_tokens": history,
                "retrieval": self.retrieval.model_copy(update={"budget_tokens": evidence}),
            }
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A question with its evidence, before the chat model speaks."""

    question: str
    request: ChatRequest | None
    """None: the evidence does not answer the question, and no model is asked."""
    refusal: str
    """What is said in place of an answer."""
    passages: tuple[Passage, ...]
    evidence: float
    """How well the best passage supports an answer, 0 to 1: so much at least, and no more where it
    is too little."""
    started: float
    """When, by `time.perf_counter`."""
    timings_ms: dict[str, float]
    disclosure: str = ""
    id: str = field(default_factory=lambda: uuid4().hex)
    """Of the answer."""
    steps: tuple[Step, ...] = ()
    """Where finding the passages took several searches."""
    drafting: Drafting = UNDRAFTED


def prepare(
    question: str,
    *,
    config: AnswerConfig,
    ports: SearchPorts,
    where: DocumentFilter = EVERYTHING,
    history: Sequence[Message] = (),
    generation: Generation = AS_CONFIGURED,
) -> Prepared:
    """Find and judge the evidence. Raises as `find` does."""
    started = time.perf_counter()
    config = config.within(ports.chat.capabilities.context)
    gathered = gather(
        question,
        config=config.agentic,
        retrieval=config.retrieval,
        stages=config.stages,
        ports=ports,
        where=where,
        history=history,
    )
    findings = gathered.findings
    passages = tuple(found.passage for found in findings.found)
    judging = time.perf_counter()
    judged = support(gathered.first, ports=ports, enough=config.min_evidence)
    request = None
    if passages and judged >= config.min_evidence:
        kept = recent(history, tokens=config.history_tokens, chat=ports.chat)
        changed = changes(passages, reader=reader_of(ports.sparse))
        request = ChatRequest(
            messages=render(findings.standalone, passages, history=kept, changes=changed),
            question=findings.standalone,
            passages=passages,
            changes=changed,
            **generation.of_request(max_tokens=config.max_tokens),
        )
    return Prepared(
        question=question.strip(),
        request=request,
        refusal=findings.not_held or ABSTENTION,
        passages=passages,
        evidence=round(judged, 4),
        started=started,
        timings_ms={**findings.timings_ms, "judge": (time.perf_counter() - judging) * 1e3},
        disclosure=disclosure(sorted({passage.document.author for passage in passages})),
        steps=gathered.steps,
        drafting=Drafting(config.agentic.drafts, ports.embedder),
    )


def prepare_direct(
    messages: Sequence[Message],
    *,
    author: str,
    config: AnswerConfig,
    generation: Generation = AS_CONFIGURED,
) -> Prepared:
    """A conversation without evidence: the twin of `author` answers as it was trained to."""
    question = next((m.content for m in reversed(messages) if m.role is Role.USER), "")
    request = ChatRequest(
        messages=direct(messages, author=author),
        question=question,
        **generation.of_request(max_tokens=config.max_tokens),
    )
    return Prepared(
        question=question.strip(),
        request=request,
        refusal=ABSTENTION,
        passages=(),
        evidence=0.0,
        started=time.perf_counter(),
        timings_ms={},
        disclosure=disclosure([author]),
    )


def said_plainly(question: str, text: str) -> Prepared:
    """What needs neither the author's writing nor a model."""
    return Prepared(
        question=question.strip(),
        request=None,
        refusal=text,
        passages=(),
        evidence=0.0,
        started=time.perf_counter(),
        timings_ms={},
    )
