"""A question that leans on the conversation before it is made to stand alone; others are kept."""

import pytest

from llm_engineering.application.rag.rewrite import RewriteConfig, standalone
from llm_engineering.domain.chat import Message, Role
from llm_engineering.infrastructure.bm25 import Bm25Encoder
from llm_engineering.ports.models import ChatModel
from tests.unit.chatting import QuotingChat, ScriptedChat

SPARSE = Bm25Encoder()
TERMS = RewriteConfig(mode="terms")
CHAT = RewriteConfig(mode="chat")
HISTORY = (
    Message(role=Role.SYSTEM, content="You are the twin of Ada."),
    Message(role=Role.USER, content="How do I brew green tea in a clay pot?"),
    Message(role=Role.ASSISTANT, content="With water of 80 degrees. [1]"),
)


def alone(
    question: str,
    history: tuple[Message, ...] = HISTORY,
    *,
    config: RewriteConfig = TERMS,
    chat: ChatModel | None = None,
) -> str:
    return standalone(question, history, sparse=SPARSE, chat=chat, config=config)


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("And why?", "And why? brew green tea clay pot"),
        ("Does it burn?", "Does it burn? brew green tea clay pot"),
        ("Do they break in winter?", "Do they break in winter? brew green tea clay pot"),
        ("What about the pot?", "What about the pot? brew green tea clay"),
    ],
)
def test_a_question_about_nothing_gets_the_words_of_the_last_turns(
    question: str, meant: str
) -> None:
    assert alone(question) == meant


@pytest.mark.parametrize(
    "question",
    [
        "How do I oil a bicycle chain?",
        "Is it safe to commit a client secret?",
        "Is there a way to fail a Makefile early?",
        "Does it work with Docker compose and nginx?",
        "Why does SQLite say that a table is locked?",
    ],
)
def test_a_question_that_stands_alone_is_kept(question: str) -> None:
    assert alone(question) == question


def test_the_first_question_of_a_conversation_is_kept() -> None:
    assert alone("And why?", ()) == "And why?"
    assert alone("And why?", HISTORY[:1]) == "And why?"
    assert alone("And why?", HISTORY[2:]) == "And why?"


def test_the_latest_turn_comes_first_and_no_word_twice() -> None:
    later = Message(role=Role.USER, content="Which tea for the winter?")
    assert alone("Why?", (*HISTORY, later)) == "Why? tea winter brew green clay pot"
    assert alone("Why?", (*HISTORY, later), config=RewriteConfig(mode="terms", turns=1)) == (
        "Why? tea winter"
    )


def test_words_of_another_language_lose_its_stop_words() -> None:
    turn = Message(role=Role.USER, content="Wie brühe ich den grünen Tee in der Kanne auf?")
    assert alone("Und warum?", (turn,)) == "Und warum? brühe grünen Tee Kanne"


def test_an_endless_turn_adds_a_dozen_words_at_most() -> None:
    turn = Message(role=Role.USER, content=" ".join(f"word{n:04}x" for n in range(2_000)))
    assert len(alone("Why?", (turn,)).split()) == 13


def test_off_changes_nothing() -> None:
    assert alone("And why?", config=RewriteConfig()) == "And why?"


def test_a_generating_model_sees_the_conversation_and_writes_the_question() -> None:
    chat = ScriptedChat('Standalone question: "Why is clay good for green tea?"')
    assert alone("And why?", config=CHAT, chat=chat) == "Why is clay good for green tea?"
    assert "User: How do I brew green tea in a clay pot?" in chat.prompt
    assert "Assistant: With water of 80 degrees." in chat.prompt
    assert chat.prompt.endswith("Question: And why?")
    assert "twin of Ada" not in chat.prompt


@pytest.mark.parametrize("said", ["", "Why?\nWell, because.", "x" * 601])
def test_a_useless_rewriting_is_replaced_by_added_words(said: str) -> None:
    chat = ScriptedChat(said)
    assert alone("And why?", config=CHAT, chat=chat) == "And why? brew green tea clay pot"
    assert len(chat.requests) == 1


@pytest.mark.parametrize("chat", [None, QuotingChat()])
def test_without_a_generating_model_words_are_added(chat: ChatModel | None) -> None:
    assert alone("And why?", config=CHAT, chat=chat) == "And why? brew green tea clay pot"


def test_long_turns_are_shown_to_a_model_in_part() -> None:
    chat = ScriptedChat("Why tea?")
    turn = Message(role=Role.USER, content="tea " * 5_000)
    alone("And why?", (turn,), config=CHAT, chat=chat)
    assert len(chat.prompt) < 2_000


def test_a_question_as_long_as_a_page_is_kept() -> None:
    question = "it " * 300
    assert alone(question) == question
