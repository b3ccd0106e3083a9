"""The past is trained on, the latest tested on, and nothing stands on two sides."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.datasets.config import SplitRule
from llm_engineering.application.datasets.leaks import leaks, refuse_leaks
from llm_engineering.application.datasets.ngrams import WORDS, KnownRuns
from llm_engineering.application.datasets.splits import by_split, cuts, hashed_split, separated
from llm_engineering.application.datasets.writing import collect
from llm_engineering.domain.documents import Document
from llm_engineering.domain.errors import InvalidConfig, NotFound, TooFewSamples
from llm_engineering.domain.samples import InstructSample, Split, SplitBy
from tests.unit.corpus import ADA, BOB, built, held, note, notes

RULE = SplitRule()
EIGHT = "one two three four five six seven eight"


def split_of(documents: list[Document], rule: SplitRule = RULE) -> dict[Split, list[Document]]:
    return by_split(documents, cuts(documents, rule))


def test_the_latest_documents_are_held_out() -> None:
    made = split_of(notes(20))

    assert [len(made[split]) for split in Split] == [16, 2, 2]
    dates = [[each.published_at for each in made[split] if each.published_at] for split in Split]
    assert max(dates[0]) < min(dates[1])
    assert max(dates[1]) < min(dates[2])


def test_documents_without_a_date_are_trained_on() -> None:
    undated = [note(number, published=None) for number in range(100, 105)]
    made = split_of([*notes(20), *undated])

    assert set(undated) <= set(made[Split.TRAIN])


@pytest.mark.parametrize("published", [None, datetime(2024, 5, 6, tzinfo=UTC)])
def test_where_dates_tell_nothing_apart_a_hash_decides(published: datetime | None) -> None:
    documents = [
        note(number).model_copy(update={"published_at": published}) for number in range(200)
    ]
    where = cuts(documents, RULE)
    made = by_split(documents, where)

    assert where.by is SplitBy.HASH
    assert all(8 < len(made[split]) < 40 for split in (Split.VALIDATION, Split.TEST))


def test_documents_of_one_moment_stay_together() -> None:
    day = datetime(2024, 5, 6, tzinfo=UTC)
    late = [note(number).model_copy(update={"published_at": day}) for number in range(90, 95)]
    made = split_of([*notes(20), *late])

    assert set(made[Split.TEST]) == set(late)


def test_a_hashed_split_stays_with_its_key() -> None:
    assert hashed_split("a", RULE) is hashed_split("a", RULE)
    assert {hashed_split(str(number), RULE) for number in range(100)} == set(Split)


def test_a_held_out_document_that_repeats_the_past_is_dropped() -> None:
    documents = notes(20)
    copied = documents[0].text.split("\n\n")[0]
    documents[19] = note(19, text=f"{copied}\n\nAnd some few words more about bread today.")
    dropped: Counter[str] = Counter()

    parts = separated(split_of(documents), RULE, dropped)

    assert documents[19] not in parts.documents[Split.TEST]
    assert dropped == {"document: repeats what is trained on": 1}
    assert parts.largest <= RULE.max_document_overlap


def test_a_test_document_must_not_repeat_validation_either() -> None:
    documents = notes(20)
    documents[19] = note(19, text=documents[16].text.split("\n\n")[0])

    parts = separated(split_of(documents), RULE, Counter())

    assert documents[16] in parts.documents[Split.VALIDATION]
    assert documents[19] not in parts.documents[Split.TEST]


def test_runs_of_eight_words_are_compared_without_case_and_punctuation() -> None:
    known = KnownRuns(["One, two — three four FIVE six seven eight!"])

    assert known.share(EIGHT) == 1.0
    assert known.share(f"{EIGHT} nine") == 0.5
    assert known.share("one two three four five six seven nine eight") == 0.0
    assert known.share("one two three four five six seven") == 0.0


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=40))
def test_a_text_shares_all_of_its_runs_with_itself(words: list[str]) -> None:
    text = " ".join(words)

    assert KnownRuns([text]).share(text) == (1.0 if len(words) >= WORDS else 0.0)


def test_near_duplicates_are_kept_once_the_earliest() -> None:
    again = note(30, text=note(3).text, title=note(3).title)
    dropped: Counter[str] = Counter()

    writing = collect(held([*notes(20), again]), author=None, languages=(), dropped=dropped)

    assert again not in writing.documents
    assert note(3).id in {document.id for document in writing.documents}
    assert dropped == {"document: near-duplicate of another": 1}


def test_other_languages_are_left_out_and_unknown_ones_kept() -> None:
    documents = [note(1), note(2, language="de"), note(3, language=None)]
    dropped: Counter[str] = Counter()

    writing = collect(held(documents), author=None, languages=("en",), dropped=dropped)

    assert {document.id for document in writing.documents} == {note(1).id, note(3).id}
    assert dropped == {"document: in another language": 1}


def test_an_author_is_found_whatever_the_case_of_the_name() -> None:
    store = held([note(1), note(1, author=BOB)])

    writing = collect(store, author="ada  LOVELACE", languages=(), dropped=Counter())

    assert [document.author for document in writing.documents] == [ADA.name]
    assert [document.author for document in writing.others] == [BOB.name]


def test_an_unknown_author_is_refused_with_those_there_are() -> None:
    with pytest.raises(NotFound, match=r"no author 'Eve'; the store holds 'Ada Lovelace'"):
        collect(held([note(1)]), author="Eve", languages=(), dropped=Counter())


def test_of_several_authors_one_must_be_named() -> None:
    store = held([note(1), note(1, author=BOB)])

    with pytest.raises(InvalidConfig, match="'Ada Lovelace', 'Bob Noyce'; say whose twin it is"):
        collect(store, author=None, languages=(), dropped=Counter())


def test_an_empty_store_is_refused_with_the_fix() -> None:
    with pytest.raises(TooFewSamples, match=r"no documents to make samples of; .*'twin run etl'"):
        collect(held([]), author=None, languages=(), dropped=Counter())


def moved(sample: InstructSample, **changes: object) -> InstructSample:
    return sample.model_copy(update={"split": Split.TEST, **changes})


def test_the_leak_test_finds_documents_prompts_and_words() -> None:
    train, other, *_ = [each for each in built(notes()).instruct if each.split is Split.TRAIN]
    elsewhere = train.target.model_copy(
        update={"document": train.target.document.model_copy(update={"id": "elsewhere"})}
    )

    same_document = leaks([train, moved(train, prompt=(), completion="New.")], max_overlap=0)
    same_prompt = leaks([train, moved(train, target=elsewhere, completion="New.")], max_overlap=0)
    same_words = leaks([train, moved(train, target=elsewhere, prompt=())], max_overlap=0)
    nothing = leaks([train, moved(other, target=elsewhere)], max_overlap=1)

    assert [each.split(": ")[1] for each in same_document] == ["its document is trained on"]
    assert [each.split(": ")[1] for each in same_prompt] == ["its prompt is trained on"]
    assert [each.split(": ")[1] for each in same_words] == [
        "100% of its runs of eight words are trained on"
    ]
    assert nothing == ()


def test_a_leak_is_one_line_that_names_the_document() -> None:
    sample = built(notes()).instruct[0]

    with pytest.raises(TooFewSamples, match=r"leak .*example\.org.*nothing was kept") as raised:
        refuse_leaks([sample, moved(sample)], max_overlap=0)
    assert "\n" not in str(raised.value)
