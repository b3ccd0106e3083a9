"""Where the author changed their mind is found; where they only say more, nothing is."""

from datetime import UTC, datetime

import pytest

from llm_engineering.application.rag.changes import changes
from llm_engineering.application.rag.reading import reader_of
from llm_engineering.domain.documents import Author
from tests.unit.grounded import SPARSE, passage

OLD, NEW = datetime(2021, 3, 4, tzinfo=UTC), datetime(2024, 5, 6, tzinfo=UTC)
READER = reader_of(SPARSE)


def pairs(old: str, new: str) -> list[tuple[str, str]]:
    found = changes([passage(old, at=OLD), passage(new, at=NEW)], reader=READER)
    return [(each.before.quote, each.after.quote) for each in found]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("I use Evernote for my notes.", "I moved from Evernote to plain Markdown files."),
        ("I always write my tests with unittest.", "I no longer write tests with unittest."),
        ("I use an ORM for small scripts.", "I don't use an ORM for small scripts."),
        ("I enable WAL mode on every database.", "I disable WAL mode on every database."),
        (
            "I boil water for green tea to 95 degrees.",
            "I heat water for green tea to 80 degrees and never boil it.",
        ),
        ("I prefer Vim for editing my configs.", "I prefer Helix for editing my configs."),
        ("We deploy the blog to Heroku.", "I switched the blog from Heroku to Fly last week."),
    ],
)
def test_a_newer_statement_that_contradicts_an_older_is_a_change(old: str, new: str) -> None:
    assert pairs(old, new) == [(old, new)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("I use Evernote for my notes.", "I use Evernote for my recipes as well."),
        ("I oil the chain every Sunday.", "I moved to another city in spring."),
        ("The build takes 40 minutes.", "My bicycle weighs 12 kilograms."),
        ("I use Django for this site.", "I use Datasette to look at large tables."),
        ("I don't boil green tea.", "I never boil green tea."),
        ("I use pytest fixtures for databases.", "I don't like mocks in tests of databases."),
        ("Release 2.1 adds plugins.", "Release 3.0 adds themes."),
    ],
)
def test_what_only_goes_on_is_no_change(old: str, new: str) -> None:
    assert pairs(old, new) == []


def test_which_one_is_newer_is_told_by_the_dates_not_by_the_order() -> None:
    old, new = "I use an ORM for small scripts.", "I don't use an ORM for small scripts."
    (found,) = changes([passage(new, at=NEW), passage(old, at=OLD)], reader=READER)
    assert (found.before.quote, found.after.quote) == (old, new)
    assert (found.before.published_at, found.after.published_at) == (OLD, NEW)


def test_without_two_dates_or_with_two_authors_nothing_has_changed() -> None:
    old, new = "I use an ORM for small scripts.", "I don't use an ORM for small scripts."
    for one, other in (
        (passage(old), passage(new, at=NEW)),
        (passage(old, at=OLD), passage(new, at=OLD)),
        (passage(old, at=OLD), passage(new, at=NEW, author=Author(name="Bob"))),
        (passage(old, at=OLD, language="de"), passage(new, at=NEW)),
    ):
        assert changes([one, other], reader=READER) == ()


def test_a_statement_is_told_of_once_with_the_newest_that_contradicts_it() -> None:
    newest = datetime(2025, 1, 1, tzinfo=UTC)
    found = changes(
        [
            passage("I use an ORM for small scripts.", at=OLD),
            passage("I don't use an ORM for small scripts.", at=NEW),
            passage("I do not use any ORM for small scripts these days.", at=newest),
        ],
        reader=READER,
    )
    assert [(each.before.published_at, each.after.published_at) for each in found] == [
        (OLD, newest)
    ]
