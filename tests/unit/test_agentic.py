"""Several searches for one answer stay within their limits, and say each step that they took."""

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from llm_engineering.application.rag.agentic import AgenticConfig, Clock, Gathered, gather
from llm_engineering.application.rag.answer import answer
from llm_engineering.application.rag.find import SearchPorts, find
from llm_engineering.application.rag.retrieve import RetrievalConfig
from llm_engineering.application.rag.stages import StagesConfig
from llm_engineering.domain.chat import ChatRequest, Completion
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.errors import BackendUnavailable, IndexEmpty, InvalidConfig
from llm_engineering.domain.vectors import Hit, Leg
from llm_engineering.infrastructure.memory_vectors import MemoryVectorIndex
from tests.unit.chatting import QuotingChat, ScriptedChat
from tests.unit.indexing import EMBEDDER, LENIENT, SPARSE, indexed
from tests.unit.writing import document

NOTES = {
    "Tea": "# Tea\n\nI never boil green tea. Water of 80 degrees keeps it sweet.",
    "Bikes": "# Bikes\n\nA steel frame outlives its rider. I oil the chain every Sunday.",
    "Bread": "# Bread\n\nSourdough wants patience. Rye rests for fourteen hours.",
}
INDEX = indexed(
    *(
        document(text, url=f"https://ada.example/{title.lower()}", title=title)
        for title, text in NOTES.items()
    )
)
TWO = "How hot is the water for green tea, and how often do you oil the chain of a bicycle?"
ONE = "How hot is the water for green tea?"
TERMS = AgenticConfig(mode="terms", max_searches=3)


class CountingIndex(MemoryVectorIndex):
    """The notes; counts its searches and refuses those from number `broken` on."""

    def __init__(self, *, broken: int | None = None) -> None:
        super().__init__()
        self.__dict__.update(INDEX.__dict__)
        self.searches = 0
        self.broken = broken

    def search(self, legs: Sequence[Leg], *, where: DocumentFilter = EVERYTHING) -> list[list[Hit]]:
        self.searches += 1
        if self.broken is not None and self.searches >= self.broken:
            raise BackendUnavailable("the index is away; start it")
        return super().search(legs, where=where)


def ports(index: MemoryVectorIndex = INDEX, chat: ScriptedChat | None = None) -> SearchPorts:
    return SearchPorts(index=index, embedder=EMBEDDER, sparse=SPARSE, chat=chat or QuotingChat())


def ticking(step: float) -> Clock:
    """A clock that goes on by `step` seconds whenever somebody looks."""
    now = [0.0]

    def clock() -> float:
        now[0] += step
        return now[0]

    return clock


def gathering(
    question: str,
    *,
    config: AgenticConfig = TERMS,
    using: SearchPorts | None = None,
    budget: int = 1_200,
    clock: Clock | None = None,
) -> Gathered:
    return gather(
        question,
        config=config,
        retrieval=RetrievalConfig(budget_tokens=budget),
        stages=StagesConfig(),
        ports=using or ports(),
        clock=clock or time.perf_counter,
    )


def searched(gathered: Gathered) -> list[str]:
    return [step.text for step in gathered.steps if step.kind == "search"]


def test_a_question_for_two_things_is_searched_for_beside_the_note_that_came_first() -> None:
    gathered = gathering(TWO)
    assert [step.kind for step in gathered.steps] == ["search", "plan", "search", "search", "read"]
    assert searched(gathered)[0] == searched(gathered)[1] == TWO
    first = gathered.first.found[0].passage.document.id
    assert gathered.steps[0].document_ids[0] == first
    assert all(first not in step.document_ids for step in gathered.steps[2:4])
    assert gathered.searches == 3


def test_a_plain_question_stays_at_one_search_without_steps() -> None:
    gathered = gathering(ONE)
    assert (gathered.searches, gathered.steps) == (1, ())
    assert gathered.findings is gathered.first


@pytest.mark.parametrize("off", [AgenticConfig(), AgenticConfig(mode="terms", max_searches=1)])
def test_switched_off_it_finds_what_one_search_finds(off: AgenticConfig) -> None:
    gathered = gathering(TWO, config=off)
    alone = find(TWO, retrieval=RetrievalConfig(), stages=StagesConfig(), ports=ports())
    assert gathered.findings.found == alone.found
    assert (gathered.searches, gathered.steps) == (1, ())


@given(
    question=st.lists(
        st.sampled_from([*TWO.split(), "both", "twice,", "what", "and how", "rye?", "bread;"]),
        min_size=1,
        max_size=25,
    ).map(" ".join),
    most=st.integers(1, 4),
    budget=st.integers(50, 120),
)
@settings(deadline=None, max_examples=40)
def test_no_question_takes_more_searches_or_more_evidence_than_allowed(
    question: str, most: int, budget: int
) -> None:
    index = CountingIndex()
    config = AgenticConfig(mode="terms", max_searches=most)
    gathered = gathering(question, config=config, using=ports(index), budget=budget)
    assert index.searches == gathered.searches <= most
    assert sum(each.passage.tokens for each in gathered.findings.found) <= budget
    again = gathering(question, config=config, using=ports(CountingIndex()), budget=budget)
    assert again.findings.found == gathered.findings.found
    assert [step.text for step in again.steps] == [step.text for step in gathered.steps]


def test_a_further_search_that_fails_leaves_what_the_first_found() -> None:
    index = CountingIndex(broken=2)
    gathered = gathering(TWO, using=ports(index))
    assert gathered.findings is gathered.first
    assert gathered.searches == index.searches == 3
    assert "the index is away; start it" in searched(gathered)[1]
    given_answer = answer(
        TWO,
        config=LENIENT.model_copy(update={"agentic": TERMS}),
        ports=ports(CountingIndex(broken=2), ScriptedChat("Water of 80 degrees. [1]")),
    )
    assert given_answer.passages == tuple(each.passage for each in gathered.first.found)
    assert not given_answer.abstained


def test_the_first_search_fails_as_it_always_does() -> None:
    with pytest.raises(IndexEmpty):
        gathering(TWO, using=ports(MemoryVectorIndex()))


def test_no_search_begins_after_the_time_limit() -> None:
    index = CountingIndex()
    config = TERMS.model_copy(update={"within_s": 5.0})
    gathered = gathering(TWO, config=config, using=ports(index), clock=ticking(3.0))
    assert index.searches == 1
    assert gathered.steps == ()


def test_the_answer_tells_its_steps() -> None:
    given_answer = answer(
        TWO,
        config=LENIENT.model_copy(update={"agentic": TERMS}),
        ports=ports(chat=ScriptedChat("Water of 80 degrees. [1]")),
    )
    kinds = [step.kind for step in given_answer.steps]
    assert kinds == ["search", "plan", "search", "search", "read"]
    assert given_answer.timings_ms["further"] > 0


def test_a_model_plans_searches_until_it_is_done_or_may_not_go_on() -> None:
    chat = ScriptedChat("SEARCH: oil the chain\nSEARCH: rye bread\nSEARCH: more")
    config = AgenticConfig(mode="chat", max_searches=3)
    index = CountingIndex()
    gathered = gathering(ONE, config=config, using=ports(index, chat))
    assert searched(gathered) == [ONE, "oil the chain", "rye bread"]
    assert index.searches == 3
    assert len(chat.requests) == 1


def test_a_model_that_asks_for_the_same_again_and_again_ends_the_searching() -> None:
    chat = ScriptedChat("SEARCH: rye bread")
    config = AgenticConfig(mode="chat", max_searches=8)
    gathered = gathering(ONE, config=config, using=ports(chat=chat))
    assert searched(gathered) == [ONE, "rye bread"]
    assert len(chat.requests) == 2


def test_a_planner_that_fails_leaves_the_single_search() -> None:
    class AwayChat(ScriptedChat):
        def complete(self, request: ChatRequest) -> Completion:
            raise BackendUnavailable("the engine is away; start it")

    config = AgenticConfig(mode="chat")
    gathered = gathering(ONE, config=config, using=ports(chat=AwayChat("")))
    assert gathered.findings is gathered.first
    assert "the engine is away" in gathered.steps[-1].text


def test_a_model_that_only_quotes_cannot_plan() -> None:
    with pytest.raises(InvalidConfig, match=r"agentic.mode=terms"):
        gathering(ONE, config=AgenticConfig(mode="chat"))


def test_limits_are_held_to() -> None:
    for wrong in ({"max_searches": 0}, {"within_s": 0}, {"drafts": 0}, {"mode": "always"}):
        with pytest.raises(ValidationError):
            AgenticConfig.model_validate(wrong)


def test_filters_hold_in_every_search() -> None:
    seen: list[DocumentFilter] = []

    class SeeingIndex(CountingIndex):
        def search(
            self, legs: Sequence[Leg], *, where: DocumentFilter = EVERYTHING
        ) -> list[list[Hit]]:
            seen.append(where)
            return super().search(legs, where=where)

    where = DocumentFilter(authors=("Ada",))
    gather(
        TWO,
        config=TERMS,
        retrieval=RetrievalConfig(),
        stages=StagesConfig(),
        ports=replace(ports(), index=SeeingIndex()),
        where=where,
    )
    assert seen == [where] * 3
