"""A clause says of its words whether they are done, planned, possible, demanded or no longer so."""

import pytest

from tests.unit.objecting import voice


@pytest.mark.parametrize(
    ("text", "mood"),
    [
        # Not yet.
        ("I will move the blog.", "future"),
        ("I shall move the blog.", "future"),
        ("I won't move the blog.", "future"),
        ("I'm gonna move the blog.", "future"),
        ("I am considering the blog.", "future"),
        ("I'll move the blog.", "future"),
        ("I'm going to move the blog.", "future"),
        ("I'm about to move the blog.", "future"),
        ("I intend to move the blog.", "future"),
        ("I decided to move the blog.", "future"),
        ("I am supposed to move the blog.", "future"),
        ("I'm thinking of moving the blog.", "future"),
        ("I'm thinking about moving the blog.", "future"),
        ("I'm dreaming of moving the blog.", "future"),
        ("I'm dreaming about moving the blog.", "future"),
        # Possible, wished, demanded.
        ("I can move the blog.", "can"),
        ("I could move the blog.", "can"),
        ("I am able to move the blog.", "can"),
        ("I should move the blog.", "should"),
        ("I ought to move the blog.", "should"),
        ("I must move the blog.", "must"),
        ("I have to move the blog.", "must"),
        ("Bob has to move the blog.", "must"),
        ("I had to move the blog.", "must"),
        ("I need to move the blog.", "must"),
        ("Bob needs to move the blog.", "must"),
        ("I needed to move the blog.", "must"),
        ("Run it unless you move the blog.", "unless"),
        # No longer.
        ("I used to move the blog.", "formerly"),
        ("I no longer move the blog.", "formerly"),
        ("I don't move the blog anymore.", "formerly"),
        ("I formerly moved the blog.", "formerly"),
        ("I previously moved the blog.", "formerly"),
        ("Originally I moved the blog.", "formerly"),
        # Of how many.
        ("Some of the blog moved.", "some"),
        ("Most of the blog moved.", "most"),
        ("I moved half of the blog.", "half"),
        ("I moved few pages of the blog.", "few"),
        ("I moved fewer pages of the blog.", "fewer"),
        ("I moved many pages of the blog.", "many"),
        ("I moved several pages of the blog.", "several"),
    ],
)
def test_a_clause_tells_its_mood(text: str, mood: str) -> None:
    assert voice(text, "blog").moods == {mood}


@pytest.mark.parametrize(
    "text",
    [
        "I moved the blog.",
        "I move the files to the blog.",
        "I am used to the blog.",
        "He gets used to the blog.",
        "Get used to the blog.",
        "To the blog I was going",
        "I went to the blog.",
        "I am going by the blog.",
        "I have the blog.",
        "I need the blog.",
        "I decided on the blog.",
        "I waited longer for the blog.",
        "I knew of the blog.",
        "I am thinking the blog works.",
        "I wrote about the blog.",
        "In some way I like the blog.",
        "I made the blog some way",
        "There are many ways round the blog.",
        # Of another clause.
        "I will move pages and I moved the blog.",
        "I moved the blog, pages must wait.",
    ],
)
def test_a_clause_that_tells_none_has_none(text: str) -> None:
    assert voice(text, "blog").moods == frozenset()


def test_a_clause_may_tell_two() -> None:
    assert voice("Some of you should move the blog.", "blog").moods == {"some", "should"}
    assert voice("I will be able to move the blog.", "blog").moods == {"future", "can"}


def test_a_sentence_may_end_and_begin_with_a_word_of_mood() -> None:
    assert voice("To the blog", "blog").moods == frozenset()
    assert voice("The blog can move some", "blog").moods == {"can", "some"}
    assert voice("Used to run the blog", "blog").moods == {"formerly"}
    assert voice("Used to run the blog that is", "blog").moods == {"formerly"}
