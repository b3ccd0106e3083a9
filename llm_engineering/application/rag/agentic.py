"""Several searches for one answer: plan, search, read, within limits and in steps to be looked at.

The first search is the one that is always made. A planner, of words or a chat model, says whether
another is needed; what all of them found shares the budget of one. There are never more searches
than `max_searches`, and none begins after `within_s`: one that hangs ends by its own limits.
A further search, or a planner, that fails costs nothing but its time.

Does not know: who answers, whether the evidence is enough.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.application.rag.chat_planning import from_chat
from llm_engineering.application.rag.find import Findings, SearchPorts, find
from llm_engineering.application.rag.merging import beside, merged
from llm_engineering.application.rag.passages import select
from llm_engineering.application.rag.planning import Query, from_words
from llm_engineering.application.rag.retrieve import RetrievalConfig
from llm_engineering.application.rag.rewrite import RewriteConfig
from llm_engineering.application.rag.stages import StagesConfig
from llm_engineering.domain.chat import Message, Step
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.errors import InvalidConfig, TwinError

Clock = Callable[[], float]


class AgenticConfig(BaseModel):
    """Whether an answer may take several searches, and how many drafts (configs/rag.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["off", "terms", "chat"] = "off"
    """Who says that one search is not enough: `terms` reads the question's words and what came
    first, `chat` asks a chat model that generates."""
    max_searches: int = Field(default=2, ge=1, le=8)
    """The first one included."""
    within_s: float = Field(default=2.0, gt=0)
    """No search or plan begins later than this."""
    drafts: int = Field(default=1, ge=1, le=5)
    """Answers that a model which generates makes, of which the one that agrees most with the
    others and with the evidence is given."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one or several searches found."""

    findings: Findings
    """Of all searches, within the budget of one."""
    first: Findings
    """By which is judged whether there is an answer."""
    steps: tuple[Step, ...] = ()
    """Empty when nobody asked for more than one search."""
    searches: int = 1


def gather(
    question: str,
    *,
    config: AgenticConfig,
    retrieval: RetrievalConfig,
    stages: StagesConfig,
    ports: SearchPorts,
    where: DocumentFilter = EVERYTHING,
    history: Sequence[Message] = (),
    clock: Clock = time.perf_counter,
) -> Gathered:
    """Search as often as it takes, within `config`.

    Raises as `find` does for the first search, and InvalidConfig when the planner lacks its model.
    """
    if config.mode == "chat" and not ports.chat.generates:
        raise InvalidConfig(
            f"agentic.mode='chat' needs a chat model that generates, and {ports.chat.name!r} only "
            "quotes; set TWIN_CHAT__KIND=openai or agentic.mode=terms"
        )
    begun = clock()
    first = find(
        question, retrieval=retrieval, stages=stages, ports=ports, where=where, history=history
    )
    took = (clock() - begun) * 1e3
    if config.mode == "off" or config.max_searches == 1 or not first.found:
        return Gathered(first, first)
    # Rewriting, filters and other wordings are of the question as it was asked.
    plain = StagesConfig(rewrite=RewriteConfig(), rerank=stages.rerank)
    course = _Course(config, retrieval, plain, ports, first, clock, begun + config.within_s)
    course.told("search", first.standalone, first, took)
    course.go_on()
    return course.gathered()


@dataclass(slots=True)
class _Course:
    """The searches of one question so far."""

    config: AgenticConfig
    retrieval: RetrievalConfig
    stages: StagesConfig
    ports: SearchPorts
    first: Findings
    clock: Clock
    until: float
    further: list[Findings] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    tried: int = 1

    def go_on(self) -> None:
        """Plan and search until nothing more is asked for or a limit is reached."""
        asked = {self.first.question.casefold()}
        while self._may():
            queries = [each for each in self._planned() if self._is_new(each, asked)]
            if not queries:
                return
            for query in queries:
                if not self._may():
                    return
                self._search(query)

    def gathered(self) -> Gathered:
        """All of it as one; the first search as it is where no other found anything."""
        if not self.further:
            return Gathered(self.first, self.first, self._told_steps(), self.tried)
        begun = self.clock()
        hits, chunks = merged(self.first, self.further)
        budget = self.retrieval.budget_tokens
        found = select(
            hits, chunks, budget_tokens=budget, count_tokens=self.ports.chat.count_tokens
        )
        whole = replace(self.first, found=found, hits=hits, chunks=chunks)
        took = (self.clock() - begun) * 1e3
        self.told("read", f"{len(found)} passages of {self.tried} searches", whole, took)
        spent = sum(step.took_ms for step in self.steps[1:])
        whole = replace(whole, timings_ms={**self.first.timings_ms, "further": spent})
        return Gathered(whole, self.first, tuple(self.steps), self.tried)

    def told(
        self, kind: Literal["plan", "search", "read"], text: str, found: Findings | None, ms: float
    ) -> None:
        """Note a step, with the documents of what it found."""
        documents = [each.passage.document.id for each in found.found] if found else []
        self.steps.append(
            Step(kind=kind, text=text, document_ids=tuple(dict.fromkeys(documents)), took_ms=ms)
        )

    def _told_steps(self) -> tuple[Step, ...]:
        return tuple(self.steps) if len(self.steps) > 1 else ()

    def _may(self) -> bool:
        return self.tried < self.config.max_searches and self.clock() < self.until

    def _is_new(self, query: Query, asked: set[str]) -> bool:
        """The same words are searched for again only beside the note that came first."""
        key = f"{query.text.casefold()}{' …' if query.elsewhere else ''}"
        new = key not in asked
        asked.add(key)
        return new

    def _planned(self) -> tuple[Query, ...]:
        begun = self.clock()
        searched, left = (self.first, *self.further), self.config.max_searches - self.tried
        try:
            if self.config.mode == "chat":
                queries = from_chat(
                    self.first.standalone, searched, chat=self.ports.chat, left=left
                )
            else:
                queries = from_words(self.first.standalone, searched, sparse=self.ports.sparse)
        except TwinError as error:
            self.told("plan", f"no plan: {error}", None, (self.clock() - begun) * 1e3)
            return ()
        if queries:
            wanted = "; ".join(f"{query.text} ({query.why})" for query in queries[:left])
            self.told("plan", wanted, None, (self.clock() - begun) * 1e3)
        return queries

    def _search(self, query: Query) -> None:
        begun = self.clock()
        self.tried += 1
        try:
            found = find(
                query.text,
                retrieval=self.retrieval,
                stages=self.stages,
                ports=self.ports,
                where=self.first.where,
            )
        except TwinError as error:
            self.told("search", f"{query.text}: {error}", None, (self.clock() - begun) * 1e3)
            return
        if query.elsewhere:
            found = beside(found, self.first.found[0].passage.document.id)
        self.told("search", query.text, found, (self.clock() - begun) * 1e3)
        if found.hits:
            self.further.append(found)
