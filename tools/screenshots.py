"""`make screenshots`: the page in light, dark and on a phone, over this project's own docs.

Nothing is staged: the pages are crawled and indexed into a home of its own, served, and asked in a
headless Chromium as a reader would. Needs chromium and chromedriver on the PATH.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from llm_engineering.domain.errors import MissingExtra
from tools.output import note
from tools.serve import TWIN

FOLDER = Path(__file__).parents[1] / "docs" / "images"
QUESTIONS = (
    "Why does cleaning keep apostrophes?",
    "What happens when a run is killed half way?",
)
LIMIT = 250_000
"""Bytes of an image."""
WITHIN_S = 60
DESKTOP = {"width": 1280, "height": 860, "deviceScaleFactor": 1, "mobile": False}
PHONE = {"width": 360, "height": 780, "deviceScaleFactor": 2, "mobile": True}


def main() -> None:
    """Write docs/images/{light,dark,phone}.png."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, served(Path(home)) as url, opened() as browser:
        look(browser, "light", DESKTOP)
        ask(browser, url, QUESTIONS[0])
        shot(browser, "light")
        look(browser, "dark", DESKTOP)
        ask(browser, url, QUESTIONS[1])
        browser.find_element(By.CSS_SELECTOR, ".source .title").click()
        wait(browser, "[data-document] mark")
        shot(browser, "dark")
        look(browser, "light", PHONE)
        ask(browser, url, QUESTIONS[0])
        shot(browser, "phone")


@contextmanager
def served(home: Path) -> Iterator[str]:
    """The address of a server over the docs, crawled into `home`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TWIN_")},
        "TWIN_HOME": str(home),
        "TWIN_API__PORT": str(port),
        "TWIN_PROGRESS": "off",
    }
    twin(environment, "run", "end_to_end")
    twin(environment, "serve", "--background")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        twin(environment, "serve", "--stop")


def twin(environment: Mapping[str, str], *arguments: str) -> None:
    """Run the command, and end this one when it fails: it has said why."""
    done = subprocess.run([*TWIN, *arguments], env=environment, stdout=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SystemExit(done.returncode)


@contextmanager
def opened() -> Iterator[webdriver.Chrome]:
    driver = shutil.which("chromedriver")
    if driver is None:
        raise MissingExtra("chromedriver", extra="dev")
    os.environ["NO_PROXY"] = "127.0.0.1"
    options = webdriver.ChromeOptions()
    with tempfile.TemporaryDirectory() as profile:
        for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
            options.add_argument(argument)
        options.add_argument("--disable-dev-shm-usage")
        options.add_argument(f"--user-data-dir={profile}")
        browser = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield browser
        finally:
            browser.quit()


def look(browser: webdriver.Chrome, colours: str, metrics: Mapping[str, object]) -> None:
    media = [
        {"name": "prefers-color-scheme", "value": colours},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", dict(metrics))


def ask(browser: webdriver.Chrome, url: str, question: str) -> None:
    """A conversation of this one question, its beginning in sight."""
    browser.get(f"{url}/")
    browser.execute_script("sessionStorage.clear(); location.reload()")
    wait(browser, "#question").send_keys(question, Keys.ENTER)
    wait(browser, ".answer.done")
    browser.execute_script("document.activeElement.blur(); scrollTo(0, 0)")


def wait(browser: webdriver.Chrome, selector: str) -> WebElement:
    found = WebDriverWait(browser, WITHIN_S).until(
        lambda at: at.find_elements(By.CSS_SELECTOR, selector)
    )
    return found[0]


def shot(browser: webdriver.Chrome, name: str) -> None:
    path = FOLDER / f"{name}.png"
    browser.save_screenshot(str(path))
    size = path.stat().st_size
    note(f"{path.relative_to(FOLDER.parents[1])}: {size:,} bytes")
    if size > LIMIT:
        raise SystemExit(f"{path} has more than {LIMIT:,} bytes")


if __name__ == "__main__":
    main()
