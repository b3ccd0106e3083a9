"""The page as its readers use it."""

import json
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

WITHIN_S = 20


class Page:
    """In one browser."""

    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        self.browser = browser
        self.url = url
        self.host = urlsplit(url).netloc

    def open(self, path: str = "/") -> None:
        self.browser.get(f"{self.url}{path}")

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def shown(self, selector: str) -> WebElement:
        """The first that is displayed, waited for."""
        found: WebElement = self.until(
            lambda: next((e for e in self.all(selector) if e.is_displayed()), None),
            f"{selector} is shown",
        )
        return found

    def gone(self, selector: str) -> None:
        self.until(
            lambda: not any(e.is_displayed() for e in self.all(selector)), f"{selector} is gone"
        )

    def until(self, found: Any, what: str) -> Any:
        wait = WebDriverWait(self.browser, WITHIN_S, poll_frequency=0.02)
        return wait.until(lambda _: found(), what)

    def ask(self, question: str) -> None:
        field = self.shown("#question")
        field.send_keys(question, Keys.ENTER)

    def answered(self, count: int = 1) -> WebElement:
        """The last of so many answers that are whole."""
        self.until(lambda: len(self.all(".answer.done")) == count, f"{count} answers are whole")
        return self.all(".answer.done")[-1]

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self.browser).send_keys(*keys).perform()

    def shifted(self, key: str) -> None:
        chain = webdriver.ActionChains(self.browser)
        chain.key_down(Keys.SHIFT).send_keys(key).key_up(Keys.SHIFT).perform()

    def focused(self) -> WebElement:
        return self.browser.switch_to.active_element

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def marked(self) -> str:
        """The highlighted text, as it is seen."""
        self.shown("[data-document] mark")
        return "".join(str(e.get_property("textContent")) for e in self.all("[data-document] mark"))

    def complaints(self) -> list[str]:
        """What the browser said since it was asked last: refused scripts and styles among it."""
        said: list[dict[str, str]] = self.browser.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in said]

    @staticmethod
    def is_grave(line: str) -> bool:
        """More than a response whose status says no."""
        return "Failed to load resource" not in line

    def hosts(self) -> set[str]:
        """Every host that anything was asked of."""
        log: list[dict[str, str]] = self.browser.get_log("performance")  # type: ignore[no-untyped-call]
        messages = [json.loads(entry["message"])["message"] for entry in log]
        asked = [
            urlsplit(message["params"]["request"]["url"])
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return {
            address.netloc for address in asked if address.scheme in ("http", "https", "ws", "wss")
        }
