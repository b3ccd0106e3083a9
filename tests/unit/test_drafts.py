"""Of several drafts the one is given that the others and the evidence agree with."""

import asyncio

import pytest

from llm_engineering.application.rag.agentic import AgenticConfig
from llm_engineering.application.rag.answer import answer, stream_answer
from llm_engineering.application.rag.drafts import Drafting, agreement
from llm_engineering.application.rag.find import SearchPorts
from llm_engineering.application.rag.preparing import prepare
from llm_engineering.domain.chat import Answer, ChatRequest, Completion, Delta, Message, Role, Usage
from llm_engineering.domain.errors import BackendUnavailable
from tests.unit.chatting import QuotingChat, WholeChat
from tests.unit.grounded import EMBEDDER, passage
from tests.unit.indexing import LENIENT, SPARSE, indexed
from tests.unit.writing import document

TEA = passage("I never boil green tea. Water of 80 degrees keeps it sweet.")
TRUE = "Water of 80 degrees keeps green tea sweet. [1]"
ALIKE = "Green tea stays sweet in water of 80 degrees. [1]"
ODD = "Napoleon lost his hat at the battle of Leipzig."
REQUEST = ChatRequest(
    messages=(Message(role=Role.USER, content="How hot?"),), question="How hot?", passages=(TEA,)
)


class DraftChat(WholeChat):
    """Says one text per seed; fails where it is None."""

    name = "drafts"

    def __init__(self, *texts: str | None) -> None:
        self.texts = texts
        self.seeds: list[int | None] = []

    def complete(self, request: ChatRequest) -> Completion:
        self.seeds.append(request.sampling.seed)
        text = self.texts[len(self.seeds) - 1]
        if text is None:
            raise BackendUnavailable("the engine is away; start it")
        return Completion(text=text, usage=Usage(prompt_tokens=10, completion_tokens=2))


def test_the_draft_that_no_other_agrees_with_is_not_given() -> None:
    chat = DraftChat(ODD, TRUE, ALIKE)
    given = Drafting(3, EMBEDDER).over(chat).complete(REQUEST)
    assert given.text in (TRUE, ALIKE)
    assert chat.seeds == [0, 1, 2]
    assert given.usage == Usage(prompt_tokens=30, completion_tokens=6)
    assert [step.kind for step in given.steps] == ["draft"]


def test_evidence_decides_between_two() -> None:
    assert Drafting(2, EMBEDDER).over(DraftChat(ODD, TRUE)).complete(REQUEST).text == TRUE


def test_nothing_is_said_before_the_choice() -> None:
    async def said() -> list[Delta | Completion]:
        chat = Drafting(3, EMBEDDER).over(DraftChat(ODD, TRUE, TRUE))
        return [piece async for piece in chat.stream(REQUEST)]

    pieces = asyncio.run(said())
    assert pieces[0] == Delta(TRUE)
    assert isinstance(pieces[1], Completion)
    assert len(pieces) == 2


def test_a_streamed_answer_with_drafts_is_the_chosen_one_and_tells_so() -> None:
    index = indexed(document(TEA.text, title="Tea"))
    chat = DraftChat(ODD, TRUE, TRUE)
    ports = SearchPorts(index=index, embedder=EMBEDDER, sparse=SPARSE, chat=chat)
    config = LENIENT.model_copy(update={"agentic": AgenticConfig(drafts=3)})

    async def said() -> list[str | Answer]:
        prepared = prepare("How hot is green tea?", config=config, ports=ports)
        pieces = stream_answer(
            prepared, chat=chat, sparse=SPARSE, upholding=config.upholding(ports)
        )
        return [piece async for piece in pieces]

    *pieces, whole = asyncio.run(said())
    assert isinstance(whole, Answer)
    assert "".join(map(str, pieces)) == whole.text == TRUE
    assert [step.kind for step in whole.steps] == ["draft"]
    chat.seeds.clear()
    assert answer("How hot is green tea?", config=config, ports=ports).text == TRUE


def test_the_first_of_equal_drafts_is_given() -> None:
    given = Drafting(3, EMBEDDER).over(DraftChat(TRUE, TRUE, TRUE)).complete(REQUEST)
    assert given.steps[0].text.startswith("draft 1 of 3")


def test_a_draft_that_fails_is_left_out_and_only_all_of_them_fail() -> None:
    assert Drafting(3, EMBEDDER).over(DraftChat(None, TRUE, ODD)).complete(REQUEST).text == TRUE
    with pytest.raises(BackendUnavailable):
        Drafting(2, EMBEDDER).over(DraftChat(None, None)).complete(REQUEST)


def test_one_draft_a_quoting_model_and_tools_leave_nothing_to_choose() -> None:
    chat = DraftChat(TRUE)
    assert Drafting(1, EMBEDDER).over(chat) is chat
    quoting = QuotingChat()
    assert Drafting(3, EMBEDDER).over(quoting) is quoting
    tools = REQUEST.model_copy(update={"tools": ({"type": "function"},)})
    assert Drafting(3, EMBEDDER).over(chat).complete(tools).steps == ()
    assert chat.seeds == [None]


def test_an_empty_draft_agrees_with_nothing() -> None:
    scores = agreement([TRUE, "", "…"], [TEA], embedder=EMBEDDER)
    assert scores[0] > 0
    assert scores[1:] == [0.0, 0.0]
    assert agreement(["", ""], [], embedder=EMBEDDER) == [0.0, 0.0]
