"""A real browser, and the page in it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.e2e.page import Page

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--disable-dev-shm-usage",
)


@pytest.fixture
def browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[webdriver.Chrome]:
    driver = shutil.which("chromedriver")
    if driver is None:
        message = "no chromedriver on the PATH; install Chromium and its driver"
        if request.config.getoption("--require-backends"):
            pytest.fail(message)
        pytest.skip(message)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    options = webdriver.ChromeOptions()
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    opened.set_window_size(1280, 900)
    yield opened
    opened.quit()


@pytest.fixture
def page(browser: webdriver.Chrome) -> Iterator[Callable[[str], Page]]:
    """Opens the page of a server; at the end of the test nothing may have broken its policy, failed
    in a script or gone to another host."""
    opened: list[Page] = []

    def open_at(url: str, path: str = "/") -> Page:
        shown = Page(browser, url)
        shown.open(path)
        opened.append(shown)
        return shown

    yield open_at
    for shown in opened:
        assert [line for line in shown.complaints() if shown.is_grave(line)] == []
        assert {host for host in shown.hosts() if host != shown.host} == set()
