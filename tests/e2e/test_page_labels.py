"""What an answer says of itself: labels of sentences, what was withdrawn, what changed, steps."""

import json
from collections.abc import Callable
from typing import Any

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.e2e.page import Page
from tests.e2e.page_corpus import DOCUMENTS, cited, corpus_app, events, grounds, stubbed
from tests.live_server import live

Opens = Callable[[str], Page]

TEA, BIKES, _ = DOCUMENTS
WATER = cited(TEA, "80 degrees keep the tea sweet 🌿")
STEEL = cited(BIKES, "A steel frame outlives its rider.", number=2)


def chunk(text: str, **more: Any) -> str:
    ends = "grounds" in more
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": "stop" if ends else None}
    return json.dumps({"choices": [choice], "model": "sft-0a1b2c3d4e5f", **more})


def sentence(text: str, part: str, verdict: str, source: Any = None) -> dict[str, Any]:
    start = text.index(part)  # in code points, as Python counts
    return {"start": start, "end": start + len(part), "verdict": verdict, "source": source}


def checked(*sentences: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"share": 0.5, "replaced": False, "withdrawn": 0, "sentences": [*sentences], **more}


def answered(page: Opens, text: str, **more: Any) -> tuple[Page, WebElement]:
    """The page with one answer of this text and these grounds."""
    given = grounds([WATER, STEEL], **more)
    reply = events(chunk(text[:9]), chunk(text[9:]), chunk("", grounds=given), "[DONE]")
    around = stubbed({("POST", "/v1/chat/completions"): lambda _: reply}, [])
    with live(corpus_app(), around=around) as server:
        shown = page(server.url)
        shown.ask("How do you make tea?")
        return shown, shown.answered()


LABELLED = "🍵 Sweet at **80 degrees** [1]. A steel frame outlives its rider [2]. I never sleep."


def labelled(page: Opens) -> tuple[Page, WebElement]:
    return answered(
        page,
        LABELLED,
        grounding=checked(
            sentence(LABELLED, "🍵 Sweet at **80 degrees** [1].", "supported", WATER),
            sentence(LABELLED, "A steel frame outlives its rider [2].", "said", STEEL),
            sentence(LABELLED, "I never sleep.", "unsupported"),
        ),
    )


def test_each_sentence_is_marked_to_the_character_although_markdown_and_emoji_precede_it(
    page: Opens,
) -> None:
    _, answer = labelled(page)

    def text(verdict: str) -> str:
        parts = answer.find_elements(By.CSS_SELECTOR, f".claim.{verdict}")
        return " ".join(part.text for part in parts)

    assert text("supported") == "🍵 Sweet at 80 degrees"
    assert text("said") == "A steel frame outlives its rider"
    assert text("unsupported") == "I never sleep."


def test_a_label_is_a_sign_and_words_and_shows_its_source_on_focus(page: Opens) -> None:
    shown, answer = labelled(page)
    labels = answer.find_elements(By.CSS_SELECTOR, "button.label")
    names = [str(label.accessible_name) for label in labels]
    shown.run("arguments[0].focus()", labels[1])
    tip = shown.shown("#tip").text

    assert [label.text for label in labels] == ["◐", "●", "○"]
    assert names[0].startswith("follows from the author's writing: “80 degrees keep")
    assert names[1].endswith("Why I ride steel, 2 March 2024")
    assert names[2] == "not found in the author's writing"
    assert "A steel frame outlives its rider." in tip
    assert "2 March 2024" in tip
    assert "2 of 3 sentences backed" in answer.find_element(By.CSS_SELECTOR, ".legend").text
    shown.press(Keys.ESCAPE)
    shown.gone("#tip")


def test_what_was_withdrawn_is_folded_and_no_part_of_what_is_edited(page: Opens) -> None:
    gone = "Tea grows on 🌙.\n\n"
    text = f"{gone}That was not backed. In my words: “80 degrees keep the tea sweet 🌿” [1]"
    shown, answer = answered(
        page, text, answer_id="a1", grounding=checked(replaced=True, withdrawn=len(gone))
    )
    fold = answer.find_element(By.CSS_SELECTOR, "details.withdrawn")
    answer.find_element(By.CSS_SELECTOR, ".feedback .quiet").click()

    assert fold.get_attribute("open") is None
    assert "Tea grows on 🌙." in str(fold.get_attribute("textContent"))
    assert "Tea grows" not in answer.find_element(By.CSS_SELECTOR, ".prose").text
    assert "the author's own sentences stand here instead" in answer.text
    value = str(shown.shown(".edit textarea").get_attribute("value"))
    assert value.startswith("That was not backed.")


def test_a_change_of_mind_names_both_years_and_leads_to_both_documents(page: Opens) -> None:
    before = {**STEEL, "published_at": "2023-05-01T00:00:00Z"}
    after = {**WATER, "published_at": "2025-02-01T00:00:00Z"}
    _, answer = answered(page, "Sweet [1].", changes=[{"before": before, "after": after}])
    changes = answer.find_element(By.CSS_SELECTOR, ".changes")

    assert f"In 2023 I wrote “{STEEL['quote']}”; since 2025: “{WATER['quote']}”." in changes.text
    assert len(changes.find_elements(By.TAG_NAME, "button")) == 2


def test_steps_version_and_disclosure_stand_below_the_answer(page: Opens) -> None:
    step = {"kind": "search", "text": "tea water", "document_ids": ["a", "b"], "took_ms": 12.0}
    _, answer = answered(page, "Sweet [1].", steps=[step])
    steps = answer.find_element(By.CSS_SELECTOR, "details.steps")
    foot = answer.find_element(By.TAG_NAME, "footer").text

    assert steps.get_attribute("open") is None
    steps.find_element(By.TAG_NAME, "summary").click()
    assert "Searched for tea water · 2 documents · 12 ms" in steps.text
    assert "Written by an AI twin from the writing of Ada Lovelace." in foot
    assert "Version sft-0a1b2c3d4e5f · index gen-1 · 0.4 s" in foot


def test_a_refusal_to_answer_is_calm_and_has_no_sources(page: Opens) -> None:
    given = grounds([], abstained=True)
    reply = events(chunk("I have not written about that."), chunk("", grounds=given), "[DONE]")
    around = stubbed({("POST", "/v1/chat/completions"): lambda _: reply}, [])
    with live(corpus_app(), around=around) as server:
        shown = page(server.url)
        shown.ask("What of the moon?")
        answer = shown.answered()

    assert "abstained" in str(answer.get_attribute("class"))
    assert answer.find_elements(By.CSS_SELECTOR, ".sources, .legend, .notice, .feedback") == []
