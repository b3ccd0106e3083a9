"""Stages run in their order, each only when it is on, and say what they lack."""

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_engineering.application.rag.expand import ExpandConfig
from llm_engineering.application.rag.rerank import RerankConfig
from llm_engineering.application.rag.rewrite import RewriteConfig
from llm_engineering.application.rag.self_query import KnownNames
from llm_engineering.application.rag.stages import Plan, StagesConfig, check_stages, planned
from llm_engineering.domain.chat import Message, Role
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.errors import InvalidConfig
from llm_engineering.infrastructure.bm25 import Bm25Encoder
from llm_engineering.ports.models import ChatModel
from tests.unit.chatting import QuotingChat, ScriptedChat

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
KNOWN = KnownNames(authors=("Ada", "Bob"), kinds=("note",), tags=("python",))
EVERY_STAGE = StagesConfig(
    rewrite=RewriteConfig(mode="terms"),
    self_query=True,
    expand=ExpandConfig(mode="queries"),
    rerank=RerankConfig(weight=0.5),
)


class ZeroReranker:
    name = "zero"

    def score(self, question: str, passages: object) -> NDArray[np.float32]:
        return np.zeros(1, dtype=np.float32)


def plan(
    question: str,
    *,
    config: StagesConfig = EVERY_STAGE,
    chat: ChatModel | None = None,
    history: tuple[Message, ...] = (),
    where: DocumentFilter = EVERYTHING,
) -> Plan:
    return planned(
        question,
        config=config,
        known=KNOWN,
        now=NOW,
        sparse=Bm25Encoder(),
        chat=chat or ScriptedChat("another wording"),
        history=history,
        where=where,
    )


def test_nothing_runs_unless_it_is_switched_on() -> None:
    history = (Message(role=Role.USER, content="green tea"),)
    made = plan(
        "And what did Ada write in 2023?",
        config=StagesConfig(),
        chat=QuotingChat(),
        history=history,
    )
    assert made.queries == ("And what did Ada write in 2023?",)
    assert made.where == EVERYTHING
    check_stages(StagesConfig(), chat=QuotingChat(), reranker=None)


def test_a_question_is_completed_then_read_then_expanded() -> None:
    history = (Message(role=Role.USER, content="How hot is water for green tea?"),)
    chat = ScriptedChat("temperature of tea water")
    made = plan("What did Ada say about it?", history=history, chat=chat)
    assert made.where.authors == ("Ada",)
    assert made.standalone == "What did Ada say about it? hot water green tea"
    assert made.question == "it? hot water green tea"
    assert made.queries[1:] == ("temperature of tea water",)
    assert "Question: it? hot water green tea" in chat.prompt


def test_what_is_not_held_asks_no_model() -> None:
    made = plan("What did Grace write about tea?", chat=QuotingChat())
    assert made.asked.unknown == ("Grace",)


def test_a_filter_that_was_given_wins_over_what_the_question_says() -> None:
    given = DocumentFilter(authors=("Bob",), published_from=NOW)
    made = plan("notes by Ada before 2020", where=given)
    assert made.where == given.model_copy(update={"kinds": ("note",)})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (StagesConfig(expand=ExpandConfig(mode="hyde")), r"expand\.mode='hyde'.*mode=off"),
        (StagesConfig(rewrite=RewriteConfig(mode="chat")), r"rewrite\.mode='chat'.*mode=terms"),
    ],
)
def test_a_stage_that_needs_a_writer_refuses_a_quoting_model(
    config: StagesConfig, said: str
) -> None:
    with pytest.raises(InvalidConfig, match=said) as refused:
        check_stages(config, chat=QuotingChat(), reranker=None)
    assert "'quotes' only quotes; set TWIN_CHAT__KIND=openai" in str(refused.value)
    assert "\n" not in str(refused.value)
    check_stages(config, chat=ScriptedChat(""), reranker=None)


def test_reranking_without_a_reranker_names_the_setting() -> None:
    with pytest.raises(InvalidConfig, match=r"weight=0\.5 needs.*TWIN_RERANKER__KIND"):
        check_stages(EVERY_STAGE, chat=ScriptedChat(""), reranker=None)
    check_stages(EVERY_STAGE, chat=ScriptedChat(""), reranker=ZeroReranker())
