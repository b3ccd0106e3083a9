"""Conversations that the server keeps, opened again on the page, and what is forgotten in them."""

from collections.abc import Callable

from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from llm_engineering.application.erasure import ERASED
from llm_engineering.domain.conversations import ConversationTurn
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.e2e.page import Page
from tests.e2e.page_corpus import corpus_app
from tests.e2e.test_page_controls import QUESTION
from tests.live_server import live

Opens = Callable[[str], Page]


def thumbs(answer: WebElement) -> int:
    return len(answer.find_elements(By.CSS_SELECTOR, ".thumb"))


def remembering(shown: Page) -> None:
    shown.shown("#show-memory").click()
    shown.shown("#remember").click()
    shown.shown("#close-memory").click()


def test_a_conversation_that_is_opened_again_has_thumbs_on_the_twins_answers_alone(
    page: Opens,
) -> None:
    app = corpus_app(chat=ScriptedChat(lambda _: "Green tea at 80 degrees [1]."))
    with live(app) as server:
        shown = page(server.url)
        remembering(shown)
        shown.ask("My name is Grace.")
        shown.answered(1)
        shown.ask(QUESTION)
        assert thumbs(shown.answered(2)) == 2
        (kept,) = app.conversations.of("")
        erased = (
            ConversationTurn(role="user", text="And black tea?", at=kept.updated_at),
            ConversationTurn(role="assistant", text=ERASED, at=kept.updated_at),
        )
        now = kept.model_copy(update={"turns": (*kept.turns, *erased)})
        app.conversations.replace(now, seen=kept)
        shown.shown("#renew").click()
        shown.shown("#show-memory").click()
        shown.shown("#memory-kept .title").click()
        shown.answered(3)
        own, twins, gone = shown.all(".answer.done")

        assert "I keep in mind" in own.text
        assert "From what you said" in own.text
        assert [thumbs(own), thumbs(twins), thumbs(gone)] == [0, 2, 0]
        twins.find_element(By.CSS_SELECTOR, ".thumb").click()
        shown.until(lambda: "it is kept" in twins.text, "the thumb is kept")


def test_what_the_reader_has_forgotten_by_saying_so_leaves_the_tab_too(page: Opens) -> None:
    app = corpus_app(chat=ScriptedChat(lambda _: "Green tea at 80 degrees [1]."))
    with live(app) as server:
        shown = page(server.url)
        remembering(shown)
        shown.ask("My name is Grace.")
        shown.answered(1)
        shown.ask("Could you please forget my name?")
        shown.until(lambda: "Grace" not in shown.shown("#turns").text, "it leaves the page")
        kept = shown.run("return sessionStorage['twin.conversation']")
        told = shown.answered(2).text
        shown.ask("Forget everything I said.")
        shown.until(lambda: len(shown.all(".answer.done")) == 1, "all else leaves the page")

    assert "Grace" not in kept
    assert "I have forgotten that" in told
