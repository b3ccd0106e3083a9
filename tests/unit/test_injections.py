"""Retrieved text is data: documents that give orders change nothing that the system does."""

import re
from collections.abc import Callable

import pytest

from llm_engineering.application.rag.answer import answer
from llm_engineering.application.rag.find import SearchPorts
from llm_engineering.application.rag.prompts import QUOTATIONS
from llm_engineering.domain.chat import Answer, ChatRequest, Message, Role
from llm_engineering.infrastructure.memory_vectors import MemoryVectorIndex
from llm_engineering.infrastructure.quotes_chat import QuotesChat
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.unit.indexing import EMBEDDER, LENIENT, SPARSE, indexed
from tests.unit.injections import INJECTIONS, TOPIC, Injection
from tests.unit.writing import document

SECRET = "hunter2-is-my-password"
HISTORY = (
    Message(role=Role.USER, content=f"Keep this to yourself: {SECRET}"),
    Message(role=Role.ASSISTANT, content="I will."),
)
QUESTION = "How hot is the water for green tea, and what burns the leaves?"
HONEST = "Water of eighty degrees [1]."
ORDER = re.compile(r"«(.*?)»", re.DOTALL)
BRACES = re.compile(r"\{\{|\}\}|\{secret\}|\{system\}")


def gullible(request: ChatRequest) -> str:
    """Does whatever anything in its prompt tells it to."""
    return _obeyed(request, lambda line: line) or HONEST


def instructed(request: ChatRequest) -> str:
    """Does whatever it is told to outside of what its instructions call data."""
    assert QUOTATIONS in request.messages[0].content
    return _obeyed(request, lambda line: "" if line.startswith("¦") else line) or HONEST


def _obeyed(request: ChatRequest, read: Callable[[str], str]) -> str:
    lines = request.messages[-1].content.splitlines()
    order = ORDER.search("\n".join(map(read, lines)))
    if order is None:
        return ""
    known = {
        "{secret}": SECRET,
        "{system}": request.messages[0].content,
        "{{": "{",
        "}}": "}",
    }
    return BRACES.sub(lambda match: known[match[0]], order[1])


def asked(injection: Injection, script: Callable[[ChatRequest], str] | None) -> Answer:
    index = indexed(document(injection.text, title=injection.title, url=injection.url))
    return answer(QUESTION, config=LENIENT, ports=_ports(index, script), history=HISTORY)


def _ports(index: MemoryVectorIndex, script: Callable[[ChatRequest], str] | None) -> SearchPorts:
    quotes = QuotesChat(embedder=EMBEDDER, sparse=SPARSE)
    chat = ScriptedChat(script=script) if script else quotes
    return SearchPorts(index=index, embedder=EMBEDDER, sparse=SPARSE, chat=chat)


def test_there_are_many_of_them_and_each_is_found() -> None:
    assert len(INJECTIONS) >= 40
    assert len({each.name for each in INJECTIONS}) == len(INJECTIONS)
    for each in INJECTIONS:
        assert asked(each, instructed).passages, each.name


def test_a_model_that_obeys_everything_does_obey_them() -> None:
    """Else the tests below could not fail."""
    obeyed = [each.name for each in INJECTIONS if asked(each, gullible).text != HONEST]
    assert len(obeyed) >= 40


@pytest.mark.parametrize("injection", INJECTIONS, ids=lambda each: each.name)
def test_no_document_gets_out_of_what_is_marked_as_data(injection: Injection) -> None:
    answered = asked(injection, instructed)
    assert (answered.text, answered.abstained) == (HONEST, False)


@pytest.mark.parametrize("injection", INJECTIONS, ids=lambda each: each.name)
def test_a_model_that_obeys_reaches_no_other_host(injection: Injection) -> None:
    text = asked(injection, gullible).text
    assert not re.search(r"(?:https?:|www\.|//)[^\s]*evil", text)
    assert not re.search(r"!\[[^\]]*\]\(\s*<?(?:[a-z]+:|//)", text)
    assert not re.search(r"\]\(\s*<?(?:(?!https?:)[a-z]+:|//|[^)]*&#)", text, re.IGNORECASE)
    assert not re.search(r"^\s*\[[^\]]+\]:", text, re.MULTILINE)
    assert not re.search(r"<(?:img|script|style|svg|form|input|a)\b", text)


@pytest.mark.parametrize("injection", INJECTIONS, ids=lambda each: each.name)
def test_a_model_that_obeys_cites_only_what_was_written(injection: Injection) -> None:
    answered = asked(injection, gullible)
    passages = {passage.document.id: passage for passage in answered.passages}
    for citation in answered.citations:
        quoted = passages[citation.document_id]
        assert quoted.quote(citation.start, citation.end) == citation.quote
    marks = {int(number) for number in re.findall(r"\[(\d+)\]", answered.text)}
    assert marks <= set(range(1, len(answered.citations) + 1))


HIDDEN = ("comment", "display none", "white on white", "font size", "hidden attribute")
UNSEEN = (*HIDDEN, "off screen", "template", "script", "tag characters")


@pytest.mark.parametrize("name", UNSEEN)
def test_what_no_reader_sees_no_model_reads(name: str) -> None:
    (injection,) = (each for each in INJECTIONS if each.name == name)
    assert asked(injection, gullible).text == HONEST


@pytest.mark.parametrize("injection", INJECTIONS, ids=lambda each: each.name)
def test_quotes_draw_nothing_and_stay_word_for_word(injection: Injection) -> None:
    answered = asked(injection, None)
    assert not answered.abstained
    assert TOPIC in answered.text
    assert "![" not in answered.text
    assert not re.search(r"<[a-z!]", answered.text)
    for citation in answered.citations:
        assert f"“{citation.quote}”" in answered.text
