"""Conditions are read where a question states them of the writing, and nowhere else."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.rag.self_query import KnownNames, SelfQuery, not_held, read
from llm_engineering.domain.documents import DocumentFilter, DocumentKind

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
KNOWN = KnownNames(
    authors=("Ada Lovelace", "Bob"),
    kinds=("note", "post", "message"),
    tags=("python", "Web Apps", "c++", "sqlite"),
    sources=("files:notes",),
)


def reading(question: str, known: KnownNames = KNOWN) -> SelfQuery:
    return read(question, known=known, now=NOW)


def conditions(asked: SelfQuery) -> str:
    """Every condition on one line, for tables of examples."""
    where = asked.where
    dates = [
        at.date().isoformat() if at else "" for at in (where.published_from, where.published_before)
    ]
    parts = [*where.authors, *where.kinds, *(f"#{tag}" for tag in where.tags)]
    if any(dates):
        parts.append("..".join(dates))
    parts += (f"?{name}" for name in asked.unknown)
    return " ".join(parts)


@pytest.mark.parametrize(
    ("question", "found", "left"),
    [
        ("What did Ada write about tea?", "Ada Lovelace", "tea?"),
        ("what did ada lovelace say about engines", "Ada Lovelace", "engines"),
        ("Did Ada say that tea is sweet?", "Ada Lovelace", "tea is sweet?"),
        ("When did Ada write about tea?", "Ada Lovelace", "tea?"),
        ("Why did Bob recommend steel?", "Bob", "steel?"),
        ("has Bob written anything on chain oil", "Bob", "chain oil"),
        ("according to Bob, what is a good frame?", "Bob", "what is a good frame?"),
        ("How do I oil a chain, by Bob?", "Bob", "How do I oil a chain?"),
        ("posts by Ada Lovelace about tea", "Ada Lovelace post", "tea"),
        ("Find notes by Bob about chains", "Bob note", "chains"),
        ("articles by Ada about engines", "Ada Lovelace", "engines"),
        ("everything by Bob that mentions rust", "Bob", "mentions rust"),
        ("What has Bob ever said about sqlite in 2023?", "Bob 2023-01-01..2024-01-01", "sqlite?"),
        ("What did Bob think of the API in 2024?", "Bob 2024-01-01..2025-01-01", "the API?"),
        ("What Ada wrote about engines before May 2021", "Ada Lovelace ..2021-05-01", "engines"),
        ("anything by Bob about frames from 2020 to 2022", "Bob 2020-01-01..2023-01-01", "frames"),
        (
            "something written by Bob in 2022 on bikes",
            "Bob 2022-01-01..2023-01-01",
            "bikes",
        ),
        (
            "What did you write in 2023 about sqlite?",
            "2023-01-01..2024-01-01",
            "What did you write about sqlite?",
        ),
        (
            "What have you written about backups since March 2024?",
            "2024-03-01..",
            "What have you written about backups?",
        ),
        (
            "What did you say about winters before 2020?",
            "..2020-01-01",
            "What did you say about winters?",
        ),
        (
            "What did you post last year on testing?",
            "2025-01-01..2026-01-01",
            "What did you post on testing?",
        ),
        (
            "What have I learned about Docker in the last 6 months?",
            "2025-09-30..",
            "What have I learned about Docker?",
        ),
        ("What did I write yesterday?", "2026-03-30..2026-03-31", "What did I write yesterday?"),
        (
            "Which notes did you write between 2021 and 2022 about bikes?",
            "note 2021-01-01..2023-01-01",
            "bikes?",
        ),
        ("posts since 2024 about winters", "post 2024-01-01..", "winters"),
        (
            "my messages from May 2024 about the boiler",
            "message 2024-05-01..2024-06-01",
            "the boiler",
        ),
        ("notes from last year", "note 2025-01-01..2026-01-01", "notes from last year"),
        ("Which posts mention sqlite?", "post", "sqlite?"),
        ("Which of your posts are about Rust?", "post", "Rust?"),
        ("Show me posts about bicycles", "post", "bicycles"),
        ("In your notes, how do I pin Python?", "note", "how do I pin Python?"),
        ("search my messages for the boiler manual", "message", "the boiler manual"),
        ("In Ada's notes, what is an engine?", "Ada Lovelace note", "what is an engine?"),
        (
            "What did you say about pinning in your messages?",
            "message",
            "What did you say about pinning?",
        ),
        ("notes tagged python about sorting", "note #python", "sorting"),
        ("posts tagged 'web apps' about forms", "post #Web Apps", "forms"),
        ("list my notes tagged c++", "note #c++", "list my notes tagged c++"),
        ("tagged sqlite: how to back up", "#sqlite", "how to back up"),
        ("#python sorting a list of dicts", "#python", "sorting a list of dicts"),
        ("sorting a list of dicts #python", "#python", "sorting a list of dicts"),
        (
            "what did you write about tea, tagged python?",
            "#python",
            "what did you write about tea?",
        ),
        ("What did Grace write about compilers?", "?Grace", "compilers?"),
        ("notes by Grace Hopper on compilers", "note ?Grace Hopper", "compilers"),
        ("notes tagged rust about lifetimes", "note ?rust", "lifetimes"),
        (
            "Which repositories did you publish?",
            "?repository",
            "Which repositories did you publish?",
        ),
    ],
)
def test_what_a_question_states_becomes_its_conditions(
    question: str, found: str, left: str
) -> None:
    asked = reading(question)
    assert (conditions(asked), asked.question) == (found, left)


@pytest.mark.parametrize(
    "question",
    [
        "how do I sort by date in 2 lines",
        "what is new in Python 3.12",
        "notes on indexing by hand",
        "How do I list messages tagged urgent in Gmail?",
        "How do I find all pages by title in Notion?",
        "Which messages are about to expire in SQS?",
        "What happened in 2020?",
        "What did Python 3.12 deprecate in 2023?",
        "How do I delete Docker images tagged latest?",
        "What did GitHub announce last year?",
        "Did SQLite write to the WAL?",
        "How do I embed videos in my blog posts?",
        "How do I publish posts by cron since last year?",
        "What is the #main selector?",
        "Where does Claude Code write its logs?",
        "What did the CEO of OpenAI say in 2023?",
        "What did Mary Ann Evans Cross write about Dorothea in 1925?",
        "the machine that Ada's engine inspired",
        "Was it adapted from Bob's posts or from a book?",
        "message queues by example",
        "tagged unions in Rust",
        "tagged template literals in JavaScript",
        "Which page does nginx serve by default?",
        "What changed in CSS since 2020?",
        "standards by adage",
        "notes",
        "C# or F#?",
        "",
    ],
)
def test_an_ordinary_question_is_left_as_it_is(question: str) -> None:
    assert reading(question) == SelfQuery(question=question)


def test_nobody_is_taken_for_somebody_with_a_name_like_theirs() -> None:
    asked = reading("posts by Ada Byron about engines")
    assert asked.where.authors == ()
    assert asked.unknown_authors == ("Ada Byron",)


def test_a_first_name_means_everybody_who_has_it() -> None:
    known = KnownNames(authors=("Ada Lovelace", "Ada Yonath", "Bob"))
    asked = reading("What did Ada write about proteins?", known)
    assert asked.where.authors == ("Ada Lovelace", "Ada Yonath")


def test_post_stands_for_writing_of_any_kind_where_there_are_no_posts() -> None:
    asked = reading("posts by Bob about frames", KnownNames(authors=("Bob",), kinds=("note",)))
    assert asked.where == DocumentFilter(authors=("Bob",))
    assert asked.unknown == ()


def test_of_two_dates_none_is_chosen() -> None:
    asked = reading("What did you write in 2021 about the winter in 2020?")
    assert asked == SelfQuery(question="What did you write in 2021 about the winter in 2020?")


def test_what_is_not_held_is_said_plainly_with_what_is() -> None:
    asked = reading("What did Grace write about compilers?")
    assert not_held(asked, known=KNOWN) == (
        "I hold nothing by 'Grace'; the authors here are Ada Lovelace and Bob."
    )


def test_everything_that_is_not_held_is_said_and_long_lists_are_cut() -> None:
    known = KnownNames(authors=("Bob",), tags=tuple(f"t{n}" for n in range(1_500)))
    asked = SelfQuery(question="x", unknown_authors=("Grace", "Eve"), unknown_tags=("rust",))
    assert not_held(asked, known=known) == (
        "I hold nothing by 'Grace' or 'Eve'; the only author here is Bob. I hold nothing tagged "
        "'rust'; the tags here are t0, t1, t2, t3, t4, t5, t6, t7, t8, t9 and 1,490 more."
    )
    nothing = SelfQuery(question="x", unknown_kinds=("message",))
    assert not_held(nothing, known=known) == (
        "I hold nothing of the kind 'message'; there are no kinds here."
    )
    assert not_held(SelfQuery(question="x"), known=known) == ""


_WORDS = st.sampled_from(
    re.findall(
        r"\S+",
        "what did Ada Grace write posts notes tagged python # by in 2023 since last year your "
        "about the which messages ? , ' Bob's said everything between and 2021 I",
    )
)


@given(st.lists(st.one_of(_WORDS, st.text(max_size=8)), max_size=14).map(" ".join))
def test_whatever_is_asked_something_is_left_to_search_for(question: str) -> None:
    asked = reading(question)
    assert bool(asked.question.strip()) == bool(question.strip())
    assert set(asked.where.authors) <= set(KNOWN.authors)
    assert set(asked.where.tags) <= set(KNOWN.tags)
    assert {DocumentKind(kind) for kind in asked.where.kinds} <= {*map(DocumentKind, KNOWN.kinds)}
