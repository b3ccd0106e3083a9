"""What a model adds to a search is taken with care; the question always comes first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.rag.expand import ExpandConfig, expanded
from tests.unit.chatting import QuotingChat, ScriptedChat

QUESTION = "How hot should the water be?"
WORDINGS = ExpandConfig(mode="queries", queries=3)
HYDE = ExpandConfig(mode="hyde")


def test_off_asks_nobody() -> None:
    assert expanded(QUESTION, chat=QuotingChat(), config=ExpandConfig()) == (QUESTION,)


def test_other_wordings_follow_the_question() -> None:
    chat = ScriptedChat("water temperature for tea\nbest degrees for brewing")
    assert expanded(QUESTION, chat=chat, config=WORDINGS) == (
        QUESTION,
        "water temperature for tea",
        "best degrees for brewing",
    )
    assert QUESTION in chat.prompt
    assert "3 other wordings" in chat.prompt


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("1. tea water\n2) brewing heat\n(3) kettle", ("tea water", "brewing heat", "kettle")),
        ('- "tea water"\n* “brewing heat”', ("tea water", "brewing heat")),
        ("Here are three wordings:\n\ntea water\n", ("tea water",)),
        ("```\ntea water\n```", ("tea water",)),
        ("tea water\nTea Water\nhow hot should the water BE?", ("tea water",)),
        ("one more\ntwo more\nthree more\nfour more", ("one more", "two more", "three more")),
        (f"{'long ' * 80}\ntea water", ("tea water",)),
        ("", ()),
        ("\n \n?\n-", ()),
    ],
)
def test_only_distinct_lines_that_can_be_wordings_are_kept(
    said: str, kept: tuple[str, ...]
) -> None:
    assert expanded(QUESTION, chat=ScriptedChat(said), config=WORDINGS) == (QUESTION, *kept)


def test_a_supposed_passage_is_one_more_query_on_one_line() -> None:
    chat = ScriptedChat("I never boil it.\n\n80 degrees will do.")
    found = expanded(QUESTION, chat=chat, config=HYDE)
    assert found == (QUESTION, "I never boil it. 80 degrees will do.")


def test_an_endless_passage_is_cut_between_words() -> None:
    _, passage = expanded(QUESTION, chat=ScriptedChat("brewing " * 900), config=HYDE)
    assert len(passage) <= 1_200
    assert passage.split() == ["brewing"] * len(passage.split())


@pytest.mark.parametrize("config", [WORDINGS, HYDE])
def test_a_model_that_abstains_leaves_the_question_alone(config: ExpandConfig) -> None:
    chat = ScriptedChat("I have not written about that.", abstained=True)
    assert expanded(QUESTION, chat=chat, config=config) == (QUESTION,)


@pytest.mark.parametrize("said", ["", "  \n", "…"])
def test_an_empty_passage_leaves_the_question_alone(said: str) -> None:
    assert expanded(QUESTION, chat=ScriptedChat(said), config=HYDE) == (QUESTION,)


@given(said=st.text(max_size=3_000), config=st.sampled_from([WORDINGS, HYDE]))
def test_whatever_a_model_says_the_queries_are_few_and_short(
    said: str, config: ExpandConfig
) -> None:
    first, *others = expanded(QUESTION, chat=ScriptedChat(said), config=config)
    assert first == QUESTION
    assert len(others) <= 3
    assert all(other.strip() and len(other) <= 1_200 for other in others)
