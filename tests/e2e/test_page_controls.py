"""What a reader does on the page beside asking: rating, editing, keys, memory, and bad moments."""

import json
import time
from collections.abc import Callable

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.e2e.page import Page
from tests.e2e.page_corpus import corpus_app, events, stubbed
from tests.live_server import live
from tests.unit.serving import make_key

Opens = Callable[[str], Page]

QUESTION = "How hot is the water for green tea, 80 degrees?"
BOTH = ("ask", "feedback")


def test_a_thumb_and_an_edit_are_kept_as_feedback_on_the_answer(page: Opens) -> None:
    app = corpus_app()
    with live(app) as server:
        shown = page(server.url)
        shown.ask(QUESTION)
        answer = shown.answered()
        served = [each.text for each in answer.find_elements(By.CSS_SELECTOR, ".source blockquote")]
        good = answer.find_element(By.CSS_SELECTOR, ".thumb")
        good.click()
        shown.until(lambda: good.get_attribute("aria-pressed") == "true", "the thumb is kept")
        answer.find_element(By.CSS_SELECTOR, ".feedback .quiet").click()
        field = shown.shown(".edit textarea")
        field.clear()
        field.send_keys("At *80* degrees.", Keys.CONTROL, Keys.ENTER)
        shown.until(lambda: "Your wording" in answer.text, "the edit is kept")
        focused = shown.focused().text
        (kept,) = app.feedback.find()
        shown.browser.refresh()
        after = shown.answered()

    assert (kept.liked, kept.edit) == (True, "At *80* degrees.")
    assert served[0] in kept.served
    assert focused == "Edit this answer"
    assert after.find_element(By.CSS_SELECTOR, ".edit em").text == "80"
    assert after.find_element(By.CSS_SELECTOR, ".thumb").get_attribute("aria-pressed") == "true"


def test_an_edit_that_is_cancelled_or_changes_nothing_is_not_sent(page: Opens) -> None:
    app = corpus_app()
    with live(app) as server:
        shown = page(server.url)
        shown.ask(QUESTION)
        answer = shown.answered()
        for ending in ((Keys.ESCAPE,), (Keys.CONTROL, Keys.ENTER)):
            answer.find_element(By.CSS_SELECTOR, ".feedback .quiet").click()
            shown.shown(".edit textarea").send_keys(*ending)
            shown.gone(".edit textarea")

        assert list(app.feedback.find()) == []


def test_a_key_is_asked_for_a_wrong_one_is_told_and_a_right_one_is_kept_in_the_tab(
    page: Opens,
) -> None:
    app = corpus_app()
    key = make_key(app, scopes=BOTH)
    with live(app) as server:
        shown = page(server.url)
        field = shown.shown("#key")
        assert "twin keys create" in shown.shown("[data-reason]").text
        field.send_keys("twin-wrong", Keys.ENTER)
        shown.until(lambda: "opens nothing" in shown.shown("[data-reason]").text, "it is refused")
        shown.shown("#key").send_keys(key, Keys.ENTER)
        shown.gone("#key-dialog")
        shown.ask(QUESTION)
        shown.answered()
        kept = shown.run("return [sessionStorage['twin.key'], localStorage['twin.key']]")
        shown.browser.refresh()
        shown.answered()
        shown.shown("#show-memory").click()
        shown.shown("#forget-key").click()
        shown.shown("#close-memory").click()
        shown.ask(QUESTION)
        shown.shown("#key")

    assert kept == [key, None]


def test_a_key_stays_on_the_device_where_that_is_asked_for(page: Opens) -> None:
    app = corpus_app()
    key = make_key(app, scopes=BOTH)
    with live(app) as server:
        shown = page(server.url)
        shown.shown("#key-dialog [name=device]").click()
        shown.shown("#key").send_keys(key, Keys.ENTER)
        shown.gone("#key-dialog")

        assert shown.run("return localStorage['twin.key']") == key
        assert key not in shown.browser.current_url


def test_a_conversation_is_kept_on_the_server_only_when_asked_and_deleted_when_told(
    page: Opens,
) -> None:
    app = corpus_app(chat=ScriptedChat(lambda _: "Green tea at 80 degrees [1]."))
    with live(app) as server:
        shown = page(server.url)
        shown.ask(QUESTION)
        shown.answered()
        assert app.conversations.of("") == ()
        shown.shown("#show-memory").click()
        shown.shown("#remember").click()
        shown.shown("#close-memory").click()
        shown.ask("My name is Grace.")
        own = shown.answered(2)
        assert "From what you said" in own.text
        assert own.find_elements(By.CSS_SELECTOR, ".feedback") == []
        (kept,) = app.conversations.of("")
        shown.browser.refresh()
        shown.answered(2)
        shown.shown("#show-memory").click()
        forget = shown.shown("[aria-label^='Forget:']")
        assert "My name is Grace" in str(forget.get_attribute("aria-label"))
        forget.click()
        shown.until(lambda: "Nothing yet." in shown.shown("#memory-kept").text, "it is forgotten")
        assert app.conversations.of("")[0].remembered == ()
        assert "Grace" not in str(shown.all("#turns")[0].get_attribute("textContent"))
        shown.shown("[aria-label^='Delete the conversation']").click()
        shown.until(lambda: app.conversations.of("") == (), "it is deleted")

    assert kept.turns[0].text == "My name is Grace."


def test_without_kept_conversations_the_page_offers_none(page: Opens) -> None:
    absent = stubbed({("GET", "/conversations"): lambda _: (404, {}, b"{}")}, [])
    with live(corpus_app(), around=absent) as server:
        shown = page(server.url)
        shown.shown("#show-memory").click()

        assert "kept in this tab alone" in shown.shown("#memory").text
        assert not shown.all("#remember")[0].is_displayed()


def test_a_version_is_chosen_and_named_below_its_answer(page: Opens) -> None:
    chat = ScriptedChat(lambda _: "Sweet [1].", named=("sft-1", "sft-2"))
    with live(corpus_app(chat=chat)) as server:
        shown = page(server.url)
        shown.until(lambda: len(shown.all("#model option")) == 3, "versions are listed")
        shown.shown("#model").send_keys("sft-2")
        shown.browser.refresh()
        shown.until(lambda: len(shown.all("#model option")) == 3, "versions are listed")
        shown.ask(QUESTION)
        answer = shown.answered()

    assert chat.requests[-1].model == "sft-2"
    assert "Version sft-2" in answer.text


def test_too_many_questions_are_told_with_the_wait_and_asked_again_after_it(page: Opens) -> None:
    problem = json.dumps({"error": {"message": "too many requests a minute"}}).encode()
    headers = {"content-type": "application/json", "retry-after": "2"}
    last = json.dumps(
        {"choices": [{"delta": {"content": "Sweet."}, "finish_reason": "stop"}], "model": "m"}
    )
    replies = [events(last, "[DONE]"), (429, headers, problem)]
    received: list[tuple[str, bytes]] = []
    around = stubbed({("POST", "/v1/chat/completions"): lambda _: replies.pop()}, received)
    with live(corpus_app(), around=around) as server:
        shown = page(server.url)
        shown.ask(QUESTION)
        notice = shown.shown(".notice.failed")
        again = shown.shown(".again")
        assert notice.find_element(By.TAG_NAME, "p").text == "Too many requests a minute."
        assert "Try again in" in again.text
        assert not again.is_enabled()
        asked = time.monotonic()
        shown.until(lambda: again.is_enabled(), "the wait is over")
        again.click()
        shown.answered()

    assert time.monotonic() - asked >= 0.5
    bodies = [json.loads(body) for _, body in received]
    assert [body["messages"] for body in bodies] == [[{"role": "user", "content": QUESTION}]] * 2
    assert bodies[0]["model"] == "twin"
    assert bodies[0]["stream"] is True


def test_an_answer_that_breaks_off_says_so_in_one_line_and_keeps_what_came(page: Opens) -> None:
    chat = ScriptedChat(lambda _: "Green tea at 80 degrees.", fails_after=2)
    with live(corpus_app(chat=chat)) as server:
        shown = page(server.url)
        shown.ask(QUESTION)
        line = shown.shown(".notice.failed p").text
        partial = shown.shown(".answer .prose").text
        chat.fails_after = None
        shown.shown(".again").click()
        whole = shown.answered().text

    assert line == "The answer broke off. The scripted model is gone; ask again."
    assert partial == "Green tea"
    assert "Green tea at 80 degrees." in whole


def test_a_server_that_is_gone_is_told(page: Opens) -> None:
    with live(corpus_app()) as server:
        shown = page(server.url)
        shown.until(lambda: shown.all("#model option"), "it has begun")
    shown.ask(QUESTION)

    assert "does not answer" in shown.shown(".notice.failed p").text
