"""The page over the server's own check of an answer: labels, and what is taken back."""

from collections.abc import Callable

from selenium.webdriver.common.by import By

from llm_engineering.application.rag.grounding import GroundingConfig
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.e2e.page import Page
from tests.e2e.page_corpus import corpus_app
from tests.live_server import live

Opens = Callable[[str], Page]

QUESTION = "Why do you ride a steel frame that outlives its rider?"
HALF = "A steel frame outlives its rider [1]. Every elephant on the moon plays chess."
WRONG = "Every elephant on the moon plays chess."


def test_sentences_are_labelled_as_the_server_found_them(page: Opens) -> None:
    with live(corpus_app(chat=ScriptedChat(lambda _: HALF))) as server:
        shown = page(server.url)
        shown.ask(QUESTION)
        answer = shown.answered()
        said = answer.find_element(By.CSS_SELECTOR, ".claim.said").text
        unsupported = answer.find_element(By.CSS_SELECTOR, ".claim.unsupported").text
        legend = answer.find_element(By.CSS_SELECTOR, ".legend").text
        answer.find_element(By.CSS_SELECTOR, "button.label.said").click()

        assert said == "A steel frame outlives its rider"
        assert unsupported == WRONG
        assert "1 of 2 sentences backed" in legend
        assert "by Ada Lovelace" in answer.find_element(By.CSS_SELECTOR, ".disclosure").text
        assert shown.marked() == "A steel frame outlives its rider."


def test_what_is_not_backed_is_taken_back_and_quotations_stand_in_its_place(page: Opens) -> None:
    config = AnswerConfig(min_evidence=0, grounding=GroundingConfig(min_share=0.9))
    with live(corpus_app(chat=ScriptedChat(lambda _: WRONG)), config=config) as server:
        shown = page(server.url)
        shown.ask(QUESTION)
        answer = shown.answered()
        fold = answer.find_element(By.CSS_SELECTOR, "details.withdrawn")

        assert WRONG in str(fold.get_attribute("textContent"))
        assert WRONG not in answer.find_element(By.CSS_SELECTOR, ".prose").text
        assert "“A steel frame outlives its rider.”" in answer.text
        assert "the author's own sentences stand here instead" in answer.text
