"""Asking on the page: the answer grows, its sources open, a reload keeps it, a button stops it."""

import time
from collections.abc import Callable

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.e2e.page import Page
from tests.e2e.page_corpus import DOCUMENTS, EVIL_TITLE, corpus_app
from tests.live_server import live

Opens = Callable[[str], Page]

QUESTION = "How hot is the water for green tea, 80 degrees?"
LONG = "A steel frame outlives its rider [1]. **It's** easy to mend. " * 12


def test_a_question_is_answered_with_the_quoted_words_highlighted_in_their_document(
    page: Opens,
) -> None:
    with live(corpus_app()) as server:  # quotes
        shown = page(server.url)
        shown.ask(QUESTION)
        answer = shown.answered()
        quote = answer.find_element(By.CSS_SELECTOR, ".source blockquote").text
        answer.find_element(By.CSS_SELECTOR, "button.mark").click()
        marked = shown.marked()

        tea = DOCUMENTS[0]
        assert "80 degrees" in quote
        assert "🍵" in tea.text[: tea.text.index(quote)]
        assert marked == quote
        assert shown.shown("#document-title").text == "How I make green tea"
        box = shown.run(
            "const m = document.querySelector('mark').getBoundingClientRect();"
            "return [m.top, m.bottom, innerHeight]"
        )
        assert 0 <= box[0] < box[1] <= box[2]
        assert "1 March 2024" in answer.text


def test_a_source_has_a_page_of_its_own_with_the_span_that_its_address_names(page: Opens) -> None:
    with live(corpus_app()) as server:
        shown = page(server.url)
        shown.ask(QUESTION)
        answer = shown.answered()
        quote = answer.find_element(By.CSS_SELECTOR, ".source blockquote").text
        answer.find_element(By.CSS_SELECTOR, ".source .title").click()
        shown.marked()
        address = str(shown.shown("[data-page]").get_attribute("href"))
        shown.browser.get(address)

        assert f"/evidence/{DOCUMENTS[0].id}#" in address
        assert shown.marked() == quote
        shown.shown("[data-exact]").click()
        assert shown.marked() == quote
        assert shown.shown("h1").text == "How I make green tea"


def test_text_is_seen_growing_before_the_answer_is_whole(page: Opens) -> None:
    with live(corpus_app(chat=ScriptedChat(lambda _: LONG, tokens_per_s=60))) as server:
        shown = page(server.url)
        shown.ask("Why do you ride a steel frame?")
        lengths = [
            shown.until(
                lambda least=least: (
                    (text := shown.shown(".answer.open .prose").text)
                    and not text.startswith("Reading")
                    and len(text) >= least
                    and len(text)
                ),
                f"{least} characters are there",
            )
            for least in (20, 120, 300)
        ]
        whole = shown.answered().find_element(By.CSS_SELECTOR, ".prose")

        assert lengths == sorted(set(lengths))
        assert len(whole.text) > lengths[-1]
        assert whole.find_element(By.TAG_NAME, "strong").text == "It's"
        assert "**" not in whole.text


def test_an_answer_is_stopped_at_the_server_too_and_can_be_asked_for_again(page: Opens) -> None:
    chat = ScriptedChat(lambda _: LONG * 20, tokens_per_s=20)
    with live(corpus_app(chat=chat)) as server:
        shown = page(server.url)
        shown.ask("Why do you ride a steel frame?")
        shown.until(lambda: "steel" in shown.shown(".answer .prose").text, "it has begun")
        shown.shown("#composer button").click()
        notice = shown.shown(".notice.stopped")
        server.settles(0)
        chat.tokens_per_s, chat.script = None, lambda _: "Steel lasts [1]."

        assert "unfinished" in notice.text
        assert chat.running == 0
        shown.shown(".again").click()
        assert "Steel lasts" in shown.answered().text


def test_escape_stops_an_answer(page: Opens) -> None:
    with live(corpus_app(chat=ScriptedChat(lambda _: LONG, tokens_per_s=5))) as server:
        shown = page(server.url)
        shown.ask("Why do you ride a steel frame?")
        shown.until(lambda: server.service.answering.open == 1, "it is under way")
        shown.press(Keys.ESCAPE)

        shown.shown(".notice.stopped")
        server.settles(0)


def test_a_reload_keeps_the_conversation_and_a_new_one_ends_it(page: Opens) -> None:
    chat = ScriptedChat(lambda _: "A steel frame outlives its rider [1].")
    with live(corpus_app(chat=chat)) as server:
        shown = page(server.url)
        shown.ask("Why do you ride a steel frame?")
        before = shown.answered().text
        shown.browser.refresh()
        after = shown.answered().text
        shown.ask("And who mends a steel frame?")
        shown.answered(2)

        assert after == before
        said = [message.content for message in chat.requests[-1].messages]
        assert any("outlives its rider" in text for text in said[:-1])
        shown.shown("#renew").click()
        shown.shown("#welcome")
        shown.browser.refresh()
        shown.shown("#welcome")
        assert shown.all(".turn") == []


def test_nothing_that_an_answer_a_title_or_a_document_says_runs_or_loads(page: Opens) -> None:
    evil = (
        "<script>window.ran=1</script> <img src=x onerror=window.ran=1> "
        "[click](javascript:window.ran=1) ![p](https://evil.example/p.png) "
        "[safe](https://ada.example/3) sourdough needs patience [1]."
    )
    with live(corpus_app(chat=ScriptedChat(lambda _: evil))) as server:
        shown = page(server.url)
        shown.ask("<b>What does sourdough need, patience?</b>")
        answer = shown.answered()
        answer.find_element(By.CSS_SELECTOR, "button.mark").click()
        shown.marked()

        assert shown.run("return window.ran === undefined")
        assert shown.all("main script, main img, #document img, #document script, main b") == []
        for link in shown.all("main a, #document a"):
            address = str(link.get_attribute("href"))
            assert address.startswith(("https://", server.url)), address
            assert "noopener" in str(link.get_attribute("rel"))
        assert shown.shown("#document-title").text == EVIL_TITLE


@pytest.mark.parametrize("turns", [200])
def test_two_hundred_turns_are_drawn_and_typed_below_without_delay(page: Opens, turns: int) -> None:
    with live(corpus_app(chat=ScriptedChat(lambda _: "Steel lasts [1]."))) as server:
        shown = page(server.url)
        shown.run(
            "const text = arguments[0], turns = Array.from({length: arguments[1]}, (_, n) =>"
            " ({question: `Question ${n}`, text, state: 'done', grounds: {citations: []}}));"
            "sessionStorage.setItem('twin.conversation', JSON.stringify({turns}))",
            LONG,
            turns,
        )
        shown.browser.refresh()
        shown.answered(turns)
        started = time.perf_counter()
        shown.ask("Why do you ride a steel frame?")
        shown.answered(turns + 1)
        took = time.perf_counter() - started
        longest = shown.run(
            "const began = performance.now(); document.querySelector('#question').value = 'x';"
            "document.querySelector('#question').dispatchEvent(new Event('input'));"
            "document.body.offsetHeight; return performance.now() - began"
        )

        assert took < 10, took
        assert longest < 200, longest
