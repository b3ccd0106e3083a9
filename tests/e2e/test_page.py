"""The chat page in a real browser: it asks, shows what answers rest on, and keeps what was said."""

from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from llm_engineering.bootstrap import App
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.e2e.pages import Page
from tests.e2e.twins import QUESTION, TEA, slow_chat, speaking, twin_app
from tests.live_server import Live, live
from tests.unit.serving import make_key


@pytest.fixture
def app() -> App:
    return twin_app()


@pytest.fixture
def server(app: App) -> Iterator[Live]:
    with live(app) as running:
        yield running


@pytest.fixture
def page(server: Live, browser: webdriver.Chrome) -> Page:
    return Page(browser, server.url)


def test_an_answer_shows_its_sources_and_opens_them_at_the_quotation(page: Page) -> None:
    answer = page.ask(QUESTION)
    assert "eighty degrees" in answer.text
    source = page.one(".sources button")
    quote = source.find_element(By.CSS_SELECTOR, ".quote").text.strip("“”")
    page.one(".cite").click()

    marked = page.one("#reader mark")
    assert marked.text == quote
    assert quote in TEA
    assert page.focused.text == "Tea <b>time</b> 🍵"
    page.keys(Keys.ESCAPE)
    assert not page.one("#turns").find_elements(By.CSS_SELECTOR, "#reader mark")
    assert page.focused.get_attribute("class") == "cite"
    assert page.complaints() == []
    assert page.hosts() == {page.url.removeprefix("http://")}


def test_a_document_has_a_page_of_its_own_with_its_spans(page: Page) -> None:
    page.ask(QUESTION)
    page.one(".sources button").click()
    link = page.one("#reader .where a[target=_blank][href*=evidence]")
    address = str(link.get_attribute("href"))
    quote = page.one("#reader mark").text
    page.browser.get(address)

    assert page.one("#document mark").text == quote
    assert page.browser.title == "Tea <b>time</b> 🍵"
    assert page.problems() == []
    assert page.complaints() == []


def test_an_edit_and_a_thumb_are_kept_as_feedback(app: App, page: Page) -> None:
    served = page.ask(QUESTION).find_element(By.CSS_SELECTOR, ".said").text
    page.until(".acts button", "Good").click()
    page.until(".acts .state", "saved")
    page.until(".acts button", "Edit").click()
    page.keys(Keys.CONTROL, "a")
    page.keys(Keys.NULL, "Eighty degrees, I would say.")
    page.keys(Keys.CONTROL, Keys.ENTER)
    page.until(".acts .state", "Your version is saved")

    (kept,) = app.feedback.find()
    assert (kept.edit, kept.liked) == ("Eighty degrees, I would say.", True)
    assert "eighty degrees" in kept.served
    assert "eighty degrees" in served
    assert page.complaints() == []


def test_a_reload_keeps_the_conversation_and_a_new_one_forgets_it(page: Page) -> None:
    page.ask(QUESTION)
    page.browser.refresh()
    assert "eighty degrees" in page.one(".answer").text
    assert QUESTION in page.one(".asked").text
    page.one(".cite")
    page.one("#fresh").click()
    page.browser.refresh()
    page.one("#welcome")
    assert page.all(".answer") == []


def test_the_server_remembers_a_conversation_only_when_it_is_asked_to(app: App, page: Page) -> None:
    page.ask(QUESTION)
    assert app.conversations.of("") == ()
    page.one("#keep").click()
    page.one("#memory")
    page.ask("My name is Grace.")
    page.browser.refresh()
    page.until(".asked", "My name is Grace.")
    page.one("#memory").click()
    page.until("#remembered li", "My name is Grace").find_element(By.TAG_NAME, "button").click()
    page.until("#remembered p", "Nothing that you said")
    page.one("#erase").click()
    page.one("#welcome")
    assert app.conversations.of("") == ()


def test_it_is_used_by_keyboard_alone(page: Page) -> None:
    page.one("#question")
    assert page.focused.get_attribute("id") == "question"
    page.keys(QUESTION, Keys.ENTER)
    page.one(".answer[aria-busy=false] .cite")
    assert page.focused.get_attribute("id") == "question"
    for _ in range(30):
        page.keys(Keys.SHIFT, Keys.TAB)
        if page.focused.get_attribute("class") == "cite":
            break
    page.keys(Keys.ENTER)
    page.one("#reader mark")
    page.keys(Keys.ESCAPE)
    assert page.focused.get_attribute("class") == "cite"


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_nothing_of_it_is_seriously_inaccessible(page: Page, look: str) -> None:
    if look == "dark":
        page.dark()
    if look == "phone":
        page.phone()
    page.browser.refresh()
    page.one("#question")
    assert page.problems() == []
    page.ask(QUESTION)
    assert page.problems() == []
    page.until(".acts button", "Edit").click()
    assert page.problems() == []
    page.one(".sources button").click()
    page.one("#reader mark")
    assert page.problems() == []
    wide = "return document.documentElement.scrollWidth <= window.innerWidth"
    assert page.browser.execute_script(wide) is True


def test_a_key_is_asked_for_where_there_are_keys(
    app: App, server: Live, browser: webdriver.Chrome
) -> None:
    key = make_key(app, scopes=("ask", "feedback"))
    page = Page(browser, server.url)
    page.one("#key").send_keys("twin-not-a-key", Keys.ENTER)
    page.until("#key-told", "key")
    page.one("#key").send_keys(key, Keys.ENTER)
    assert "eighty degrees" in page.ask(QUESTION).text
    page.until(".acts button", "Good").click()
    page.until(".acts .state", "saved")
    page.browser.refresh()
    page.one(".answer")
    kept = "return [sessionStorage.getItem('twin.key'), localStorage.getItem('twin.key')]"
    assert page.browser.execute_script(kept) == [key, None]


class TestSpeaking:
    """With a model that speaks, slowly, and not only what is good for the reader."""

    @pytest.fixture
    def app(self) -> App:
        return twin_app(chat=slow_chat())

    def test_an_answer_grows_and_can_be_stopped(self, server: Live, page: Page) -> None:
        page.begin(QUESTION)
        first = page.until(".answer .said", "Green").text
        page.grows(".answer .said", beyond=first)
        assert page.all(".answer[aria-busy=true]")
        page.one("#stop").click()
        page.until(".answer .fine", "Stopped.")
        server.settles(0)
        page.one("#send")
        page.begin(QUESTION)
        page.one("#stop")
        page.keys(Keys.ESCAPE)
        server.settles(0)


class TestHostile:
    @pytest.fixture
    def app(self) -> App:
        return twin_app(chat=ScriptedChat(script=speaking))

    def test_what_a_model_or_a_document_holds_is_text_and_nothing_else(self, page: Page) -> None:
        answer = page.ask(QUESTION)
        page.one(".sources button").click()
        page.one("#reader mark")
        page.ask("What does a cake need, and how hot is the oven?")
        page.all(".sources button")[-1].click()
        page.one("#reader h2")

        assert answer.find_elements(By.CSS_SELECTOR, ".said img, .said script") == []
        assert [each.text for each in answer.find_elements(By.CSS_SELECTOR, "li")][-2:]
        assert page.browser.execute_script("return window.pwned") is None
        addresses = "return [...document.querySelectorAll('a')].map((a) => a.protocol)"
        assert set(page.browser.execute_script(addresses)) <= {"http:", "https:"}
        assert page.complaints() == []
        assert page.hosts() == {page.url.removeprefix("http://")}


class TestBreaking:
    @pytest.fixture
    def app(self) -> App:
        return twin_app(chat=ScriptedChat(script=speaking, fails_after=4))

    def test_an_answer_that_breaks_off_is_one_line_and_can_be_asked_again(self, page: Page) -> None:
        page.begin(QUESTION)
        told = page.until("#trouble", "the scripted model is gone")
        assert len(told.text.splitlines()) <= 2
        assert page.one("#question").get_attribute("value") == QUESTION
        told.find_element(By.TAG_NAME, "button").click()
        page.until("#trouble", "the scripted model is gone")
        assert page.all(".answer") == []
