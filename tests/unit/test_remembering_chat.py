"""Each thing is asked once; failures are not kept."""

import sqlite3
from pathlib import Path

import pytest

from llm_engineering.domain.chat import ChatRequest, Completion, Message, Role
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure.remembering_chat import RememberingChat
from tests.unit.chatting import ScriptedChat


def request(text: str = "What is tea?", **other: float) -> ChatRequest:
    message = Message(role=Role.USER, content=text)
    return ChatRequest.model_validate({"messages": (message,), "question": text} | other)


def test_an_answer_outlives_the_one_who_asked(tmp_path: Path) -> None:
    first = RememberingChat(ScriptedChat("A plant."), tmp_path / "teacher.db")
    said = first.complete(request())
    first.close()
    chat = ScriptedChat("Something else.")

    assert RememberingChat(chat, tmp_path / "teacher.db").complete(request()) == said
    assert chat.requests == []


@pytest.mark.parametrize(
    "other", [request("What is it?"), request(temperature=0.5), request(max_tokens=7)]
)
def test_what_is_asked_otherwise_is_asked(tmp_path: Path, other: ChatRequest) -> None:
    chat = ScriptedChat("A plant.")
    remembering = RememberingChat(chat, tmp_path / "teacher.db")

    for each in (request(), other, request(), other):
        remembering.complete(each)

    assert chat.requests == [request(), other]


def test_another_model_is_asked(tmp_path: Path) -> None:
    RememberingChat(ScriptedChat("A plant."), tmp_path / "teacher.db").complete(request())
    other = ScriptedChat("A leaf.")
    other.name = "another"

    said = RememberingChat(other, tmp_path / "teacher.db").complete(request())

    assert said.text == "A leaf."


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    class Fails(ScriptedChat):
        def complete(self, request: ChatRequest) -> Completion:
            raise BackendUnavailable("the chat server is down; start it")

    with pytest.raises(BackendUnavailable):
        RememberingChat(Fails(""), tmp_path / "teacher.db").complete(request())

    again = RememberingChat(ScriptedChat("A plant."), tmp_path / "teacher.db")
    assert again.complete(request()).text == "A plant."


def test_of_two_that_ask_at_once_both_get_the_first_answer(tmp_path: Path) -> None:
    class Slow(ScriptedChat):
        def complete(self, request: ChatRequest) -> Completion:
            other = RememberingChat(ScriptedChat("The first."), tmp_path / "teacher.db")
            other.complete(request)
            return super().complete(request)

    said = RememberingChat(Slow("The second."), tmp_path / "teacher.db").complete(request())

    assert said.text == "The first."


def test_an_answer_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    chat = RememberingChat(ScriptedChat("A plant."), tmp_path / "teacher.db")
    chat.complete(request())
    chat.close()
    with sqlite3.connect(tmp_path / "teacher.db") as connection:
        connection.execute("UPDATE answers SET value = '{'")
    connection.close()

    with pytest.raises(BackendUnavailable, match=r"teacher\.db: an answer .* move the file away"):
        chat.complete(request())
