"""Everybody can use the page: by keyboard, with a screen reader, on a phone, in light and dark."""

from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.e2e.page import Page
from tests.e2e.page_corpus import corpus_app
from tests.e2e.test_page_labels import STEEL, WATER, answered, checked, sentence
from tests.live_server import live

Opens = Callable[[str], Page]

QUESTION = "How hot is the water for green tea, 80 degrees?"
AXE = (
    Path(str(distribution("axe-selenium-python").locate_file("axe_selenium_python")))
    / "node_modules"
    / "axe-core"
    / "axe.min.js"
)
RUN_AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ['violations']}).then((found) => done(found.violations));
"""
RICH = """Water of 80 degrees is *sweet* [1]. Steel lasts [2]. I never sleep.

| leaf | minutes |
|---|---|
| green | 3 |

```sh
kettle --stop-at 80
```"""
LOOKS = ("light", "dark", "phone")


def look(shown: Page, name: str) -> None:
    shown.browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {
            "features": [
                {"name": "prefers-color-scheme", "value": "dark" if name == "dark" else "light"},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ]
        },
    )
    if name == "phone":
        metrics = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
        shown.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def grave(shown: Page) -> list[dict[str, Any]]:
    """What axe finds to be serious or critical."""
    shown.run(AXE.read_text(encoding="utf-8"))
    found = shown.browser.execute_async_script(RUN_AXE)
    return [
        {"rule": each["id"], "at": [node["target"] for node in each["nodes"]]}
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def fits(shown: Page) -> bool:
    """No part of the page lies beyond its width."""
    width = shown.run("return [document.documentElement.scrollWidth, window.innerWidth]")
    return bool(width[0] <= width[1])


@pytest.mark.parametrize("name", LOOKS)
def test_axe_finds_nothing_serious_and_nothing_lies_beyond_the_width(
    page: Opens, name: str
) -> None:
    def opened(url: str) -> Page:
        found = page(url)
        look(found, name)
        found.open()
        return found

    shown, _ = answered(
        opened,
        RICH,
        answer_id="a1",
        grounding=checked(
            sentence(RICH, "Water of 80 degrees is *sweet* [1].", "supported", WATER),
            sentence(RICH, "Steel lasts [2].", "said", STEEL),
            sentence(RICH, "I never sleep.", "unsupported"),
        ),
        changes=[{"before": STEEL, "after": WATER}],
        steps=[{"kind": "plan", "text": "Look twice", "document_ids": [], "took_ms": 1.0}],
    )
    assert grave(shown) == []
    assert fits(shown)
    shown.shown(".feedback .quiet").click()
    shown.run("document.querySelector('details.steps').open = true")
    shown.shown("#show-memory").click()
    assert grave(shown) == []
    assert fits(shown)


@pytest.mark.parametrize("name", LOOKS)
def test_axe_finds_nothing_serious_around_a_document_and_on_its_page(
    page: Opens, name: str
) -> None:
    with live(corpus_app()) as server:
        shown = page(server.url)
        look(shown, name)
        shown.open()
        assert grave(shown) == []  # nothing was asked yet
        shown.ask(QUESTION)
        shown.answered().find_element(By.CSS_SELECTOR, ".source .title").click()
        shown.marked()
        assert grave(shown) == []
        assert fits(shown)
        shown.browser.get(str(shown.shown("[data-page]").get_attribute("href")))
        shown.marked()

        assert grave(shown) == []
        assert fits(shown)


def test_everything_is_reached_and_left_by_keyboard_and_focus_comes_back(page: Opens) -> None:
    with live(corpus_app()) as server:
        shown = page(server.url)
        shown.until(lambda: shown.all("#model option"), "it has begun")
        shown.press(Keys.TAB)
        assert shown.focused().text == "Skip to the question"
        shown.press(Keys.ENTER)
        shown.press("Green tea:")
        shown.shifted(Keys.ENTER)
        shown.press("80 degrees?")
        assert shown.focused().get_attribute("value") == "Green tea:\n80 degrees?"
        shown.press(Keys.ENTER)
        shown.answered()
        assert shown.focused().get_attribute("id") == "question"
        for _ in range(30):
            if "mark" in str(shown.focused().get_attribute("class")):
                break
            shown.shifted(Keys.TAB)
        outline = shown.run("return getComputedStyle(document.activeElement).outlineStyle")
        shown.press(Keys.ENTER)
        shown.marked()
        inside = shown.focused().get_attribute("id")
        shown.press(Keys.ESCAPE)
        shown.gone("#document")

        assert inside == "document-title"
        assert outline == "solid"
        assert "mark" in str(shown.focused().get_attribute("class"))


def test_a_screen_reader_hears_a_whole_answer_once_and_none_of_its_pieces(page: Opens) -> None:
    chat = ScriptedChat(lambda _: "Green tea needs 80 degrees [1]. " * 8, tokens_per_s=80)
    with live(corpus_app(chat=chat)) as server:
        shown = page(server.url)
        shown.run(
            "window.heard = []; new MutationObserver(() => heard.push("
            "document.getElementById('announced').textContent))"
            ".observe(document.getElementById('announced'), {childList: true})"
        )
        shown.ask(QUESTION)
        shown.answered()
        heard = shown.run("return window.heard")

    assert len(heard) == 2
    assert heard[0] == "Answering…"
    assert heard[1].startswith("Answer: Green tea needs 80 degrees")
    assert heard[1].endswith(" 1 source.")


def test_light_and_dark_follow_the_system_until_one_is_chosen_and_that_is_kept(page: Opens) -> None:
    with live(corpus_app()) as server:
        shown = page(server.url)

        def paper() -> str:
            return str(shown.run("return getComputedStyle(document.documentElement).colorScheme"))

        look(shown, "dark")
        assert paper() == "dark"
        toggle = shown.shown("[data-theme-toggle]")
        assert toggle.get_attribute("aria-pressed") == "true"
        toggle.click()
        assert paper() == "light"
        shown.browser.refresh()
        assert paper() == "light"


def test_nothing_moves_for_those_who_asked_for_that(page: Opens) -> None:
    chat = ScriptedChat(lambda _: "Sweet.", first_token_s=2)
    with live(corpus_app(chat=chat)) as server:
        shown = page(server.url)
        look(shown, "light")
        shown.ask(QUESTION)
        shown.shown(".thinking")
        name = "return getComputedStyle(document.querySelector('.thinking')).animationName"

        assert shown.run(name) == "none"


def test_sources_stand_beside_the_answer_and_on_a_phone_below_it(page: Opens) -> None:
    places = (
        "return ['.prose', '.sources'].map((selector) =>"
        " document.querySelector(selector).getBoundingClientRect().toJSON())"
    )
    with live(corpus_app()) as server:
        shown = page(server.url)
        shown.ask(QUESTION)
        shown.answered()
        answer, sources = shown.run(places)
        assert sources["left"] >= answer["right"]
        look(shown, "phone")
        shown.browser.refresh()
        shown.answered()
        answer, sources = shown.run(places)
        assert sources["top"] >= answer["bottom"]
