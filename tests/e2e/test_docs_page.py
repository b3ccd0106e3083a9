"""The documentation at /docs in a browser: it works, and its policy stops nothing but strangers."""

from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.live_server import Live, live
from tests.unit.serving import indexed_app

WITHIN_S = 30
ADDED = """
const script = document.createElement('script');
script.textContent = 'window.ran = true';
document.body.append(script);
return window.ran === true;
"""


@pytest.fixture
def server() -> Iterator[Live]:
    with live(indexed_app(chat=ScriptedChat())) as running:
        yield running


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What the browser said since it was asked last: refused scripts, styles and files among it."""
    said: list[dict[str, str]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return [entry["message"] for entry in said]


def test_the_docs_are_drawn_and_tried_out_without_breaking_their_own_policy(
    server: Live, browser: webdriver.Chrome
) -> None:
    def shown(selector: str) -> WebElement:
        wait = WebDriverWait(browser, WITHIN_S)
        return wait.until(lambda at: at.find_elements(By.CSS_SELECTOR, selector))[0]

    browser.get(f"{server.url}/docs")
    health = "[id$='health_health_get'] .opblock-summary-control"
    for selector in (health, ".try-out__btn", ".execute"):
        shown(selector).click()
    shown(".live-responses-table tr.response")

    assert browser.title == "LLM Twin"
    tried = browser.find_elements(By.CSS_SELECTOR, ".live-responses-table .response-col_status")
    assert "200" in [each.text for each in tried]
    assert complaints(browser) == []


def test_a_script_that_somebody_adds_does_not_run(server: Live, browser: webdriver.Chrome) -> None:
    browser.get(f"{server.url}/docs")

    assert browser.execute_script(ADDED) is False
    assert "script-src 'self'" in complaints(browser)[-1]
