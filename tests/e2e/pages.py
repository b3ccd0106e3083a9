"""The chat page as a reader uses it."""

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

WITHIN_S = 30


class Page:
    """The page of the twin at `url`."""

    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        self.browser = browser
        self.url = url
        browser.get(f"{url}/")

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """Waits until it is there and shown."""
        return self._first(lambda: filter(_shown, self.all(selector)))

    def until(self, selector: str, text: str) -> WebElement:
        """Waits until it says so."""
        return self._first(lambda: (each for each in self.all(selector) if text in each.text))

    def grows(self, selector: str, *, beyond: str) -> None:
        """Waits until it says more than `beyond`, which it began with."""
        self._first(
            lambda: (
                each
                for each in self.all(selector)
                if each.text.startswith(beyond) and len(each.text) > len(beyond)
            )
        )

    def _first(self, looked_for: Callable[[], Iterator[WebElement]]) -> WebElement:
        found: list[WebElement] = []

        def there(_: webdriver.Chrome) -> bool:
            found.extend(islice(looked_for(), 1))
            return bool(found)

        ignored = [StaleElementReferenceException]
        WebDriverWait(self.browser, WITHIN_S, ignored_exceptions=ignored).until(there)
        return found[0]

    def ask(self, question: str) -> WebElement:
        """The answer, when it is complete."""
        before = len(self.all(".answer[aria-busy=false]"))
        self.begin(question)
        wait = WebDriverWait(self.browser, WITHIN_S)
        wait.until(lambda _: len(self.all(".answer[aria-busy=false]")) > before)
        return self.all(".answer")[-1]

    def begin(self, question: str) -> None:
        self.one("#question").send_keys(question, Keys.ENTER)

    @property
    def focused(self) -> WebElement:
        return self.browser.switch_to.active_element

    def keys(self, *keys: str) -> None:
        self.focused.send_keys(*keys)

    def complaints(self) -> list[str]:
        """Of the browser, since it was asked last: what the policy refused among it."""
        said: list[dict[str, str]] = self.browser.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in said]

    def hosts(self) -> set[str]:
        """That were asked for anything."""
        log: list[dict[str, str]] = self.browser.get_log("performance")  # type: ignore[no-untyped-call]
        sent = (json.loads(entry["message"])["message"] for entry in log)
        urls = [each["params"]["request"]["url"] for each in sent if _is_request(each)]
        return {urlsplit(url).netloc for url in urls if url.startswith(("http", "ws"))}

    def problems(self) -> list[str]:
        """What axe-core finds that is serious or critical."""
        axe = files("axe_selenium_python").joinpath("node_modules/axe-core/axe.min.js").read_text()
        self.browser.execute_script(axe)
        found: dict[str, Any] = self.browser.execute_async_script(
            "const done = arguments[0]; axe.run().then(done, (error) => done({error: `${error}`}));"
        )
        assert "error" not in found, found["error"]
        return [
            f"{each['id']}: {each['nodes'][0]['html']}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]

    def phone(self) -> None:
        self.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True},
        )

    def dark(self) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark"}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def _shown(element: WebElement) -> bool:
    return element.is_displayed()


def _is_request(message: dict[str, Any]) -> bool:
    return bool(message["method"] == "Network.requestWillBeSent")
