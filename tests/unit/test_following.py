"""A sentence is supported only where every rule lets it be: one table for each rule.

The notes are made up; each pair says what the rule is there for.
"""

import pytest

from llm_engineering.application.rag.following import following
from llm_engineering.application.rag.reading import reader_of
from tests.unit.grounded import SPARSE, grounder, passage

NOTE = (
    "SQLite keeps the whole database in one file, so a backup of my site is one copy of 128MB. "
    "I enable WAL mode before the first import. "
    "With `busy_timeout` set to 5000, writers wait for 5 seconds and then raise an error. "
    "I moved the static files from nginx to Caddy in March 2021. "
    "Vacuum probably needs twice the disk space. "
    "I don't use an ORM for small scripts. "
    "If the upload fails, the worker retries it three times. "
    "The index is rebuilt after the import finishes and takes about 40 minutes."
)


def verdict(sentence: str, note: str = NOTE) -> str:
    (checked,) = grounder(min_nearness=0).check(sentence, [passage(note)]).sentences
    return checked.verdict.value


@pytest.mark.parametrize(
    "sentence",
    [
        "A backup of my site is one copy of 128MB.",
        "I enable WAL mode before the first import.",
        "Writers wait for 5 seconds and then raise an error.",
        "With `busy_timeout` set to 5000, writers wait for 5 seconds.",
        "I moved the static files from nginx to Caddy.",
        "I do not use an ORM for small scripts.",
        "If the upload fails, the worker retries it three times.",
        "The index is rebuilt after the import finishes.",
        "SQLite stores the whole database in one file.",
    ],
)
def test_what_says_no_more_in_the_same_order_is_supported(sentence: str) -> None:
    assert verdict(sentence) in ("supported", "said")


@pytest.mark.parametrize(
    "sentence",
    [
        "A backup of my site is one copy of 256MB.",
        "A backup of my site is one copy of 128GB.",
        "Writers wait for 50 seconds and then raise an error.",
        "Writers wait for 5 minutes and then raise an error.",
        "With `busy_timeout` set to 5, writers wait for 5000 seconds.",
        "I moved the static files from nginx to Caddy in March 2022.",
        "I moved the static files from nginx to Caddy in May 2021.",
        "If the upload fails, the worker retries it four times.",
    ],
)
def test_another_number_unit_or_date_is_not_supported(sentence: str) -> None:
    assert verdict(sentence) == "unsupported"


@pytest.mark.parametrize(
    "sentence",
    [
        "With `lock_timeout` set to 5000, writers wait for 5 seconds and raise an error.",
        "I moved the static files from nginx to Apache.",
        "I enable FTS mode before the first import.",
    ],
)
def test_another_name_is_not_supported(sentence: str) -> None:
    assert verdict(sentence) == "unsupported"


@pytest.mark.parametrize(
    "sentence",
    [
        "SQLite does not keep the whole database in one file.",
        "I never enable WAL mode before the first import.",
        "I use an ORM for small scripts.",
        "I disable WAL mode before the first import.",
        "I enable WAL mode after the first import.",
        "Writers never wait for 5 seconds and then raise an error.",
        "The index is rebuilt before the import finishes.",
    ],
)
def test_the_contrary_is_not_supported(sentence: str) -> None:
    assert verdict(sentence) == "unsupported"


@pytest.mark.parametrize(
    "sentence",
    [
        "I moved the static files from Caddy to nginx.",
        "With `busy_timeout` set to 5, writers wait for 5000 seconds and then raise an error.",
    ],
)
def test_swapped_roles_are_not_supported(sentence: str) -> None:
    assert verdict(sentence) == "unsupported"


@pytest.mark.parametrize(
    "sentence",
    [
        "I enable WAL mode before the first import because the import is slow.",
        "I always enable WAL mode before the first import.",
        "I enable WAL mode before every import.",
        "I only moved the static files from nginx to Caddy.",
        "The best backup of my site is one copy of 128MB.",
        "Vacuum needs twice the disk space.",
        "The index takes 40 minutes.",
        "The worker retries it three times.",
    ],
)
def test_an_added_reason_reach_or_opinion_and_a_dropped_doubt_are_not_supported(
    sentence: str,
) -> None:
    assert verdict(sentence) == "unsupported"


@pytest.mark.parametrize(
    "sentence",
    [
        "I moved the static files from nginx to Caddy, and certificates renew themselves there.",
        "I enable WAL mode before the first import, and my server has sixteen cores.",
        "Writers wait for 5 seconds and then raise an error, which the dashboard paints red.",
    ],
)
def test_what_is_only_partly_there_is_not_supported(sentence: str) -> None:
    assert verdict(sentence) == "unsupported"


@pytest.mark.parametrize(
    "sentence",
    [
        "The nightly script copies all photos to the second disk.",
        "The nightly job copies all photos to the second server.",
        "The weekly job copies all photos to the second disk.",
        "The nightly job copies all recordings to the second disk.",
    ],
)
def test_one_word_in_place_of_another_is_not_supported(sentence: str) -> None:
    note = "The nightly job copies all photos to the second disk."
    assert verdict(note, f"{note} Nothing else runs at night.") == "said"
    assert verdict(sentence, note) == "unsupported"


def test_the_topic_alone_supports_nothing() -> None:
    assert verdict("SQLite is fast.") == "unsupported"
    assert verdict("Paris is the capital of France.") == "unsupported"


@pytest.mark.parametrize(
    ("note", "claim"),
    [
        ("I use Litestream for backups of my blog.", "I use Restic for backups of my blog."),
        ("Bob wrote the crawler in the summer.", "Alice wrote the crawler in the summer."),
        ("I moved the blog to a new framework in 2021.", "I moved from Django to Flask in 2021."),
    ],
)
def test_what_a_question_takes_for_granted_is_no_evidence(note: str, claim: str) -> None:
    assert verdict(claim, note) == "unsupported"


def test_words_from_far_apart_do_not_make_a_statement() -> None:
    far = "I enable WAL mode. " + "Nothing else happened that day. " * 4 + "The import failed."
    assert verdict("I enable WAL mode when the import failed.", far) == "unsupported"


def test_rules_are_english_so_other_languages_are_only_ever_said() -> None:
    note = "Ich koche grünen Tee niemals auf. Das Wasser hat genau achtzig Grad."
    evidence = passage(note, language="de")
    checked = grounder(min_nearness=0).check(
        "Ich koche grünen Tee auf. Ich koche grünen Tee niemals auf.", [evidence]
    )
    assert [each.verdict.value for each in checked.sentences] == ["unsupported", "said"]


def test_every_objection_says_what_it_objects_to() -> None:
    reader = reader_of(SPARSE)
    found = following(
        reader.read("I always use 3 servers because it is best."),
        [reader.read("I use 2 servers.")],
        reader=reader,
    )
    assert found.objections == (
        *("number 3", "added always", "added because", "added opinion", "3 in place of 2"),
        *("new 3", "new best"),
    )
