"""Said is what stands in the author's writing, whole; a cut-out that could turn it is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.rag.verbatim import Verbatim
from llm_engineering.domain.chat import Sentence, Verdict
from llm_engineering.infrastructure.bm25 import Bm25Encoder
from tests.unit.corpus import notes
from tests.unit.grounded import grounder, passage

SPARSE = Bm25Encoder()
WRITTEN = (
    "# Water\n\nI doubt that boiling water ruins green tea. Use `curl --fail` and **never** ignore "
    "[its exit code](https://ada.example/exit), it’s the only hint.\n\n"
    "- Keep the database in one file\n- Restore it with one copy\n\n"
    "> Somebody else said that tea is overrated anyway.\n\nDoes the pot matter for the taste?"
)


def verdicts(text: str, written: str = WRITTEN) -> list[str]:
    checked = grounder().check(text, [passage(written)])
    return [each.verdict.value for each in checked.sentences]


@pytest.mark.parametrize(
    "text",
    [
        "I doubt that boiling water ruins green tea.",
        "“I doubt that boiling water ruins green tea.” [1]",
        "i doubt that  boiling water\nruins green tea!",
        "Use curl --fail and never ignore its exit code, it's the only hint.",
        "- Keep the database in one file",
        "Keep the database in one file.",
    ],
)
def test_markup_space_quotes_and_the_end_do_not_matter(text: str) -> None:
    assert verdicts(text) == ["said"]


@pytest.mark.parametrize(
    "text",
    [
        "Boiling water ruins green tea.",  # the author doubts it
        "I doubt that boiling water ruins black tea.",
        "Use curl --fail and always ignore its exit code, it's the only hint.",
        "Somebody else said that tea is overrated anyway.",  # not the author
        "The pot matters for the taste.",
        "Does the pot matter for the taste.",  # a question claims nothing
        "Keep the database.",
    ],
)
def test_a_part_a_change_or_somebody_elses_words_are_not_said(text: str) -> None:
    assert verdicts(text) == ["unsupported"]


def test_two_words_may_stand_anywhere_unless_they_are_quoted() -> None:
    written = "It certainly is that. I never boil green tea."
    assert verdicts("It certainly is that.", written) == ["unsupported"]
    assert verdicts("“It certainly is that.”", written) == ["said"]


def test_the_source_is_the_authors_sentence_with_its_place() -> None:
    evidence = passage("First comes this sentence. I never boil green tea.", start=100)
    (checked,) = grounder().check("I never boil green tea.", [evidence]).sentences
    assert checked.source is not None
    assert checked.source.quote == "I never boil green tea."
    assert (checked.source.start, checked.source.end) == (127, 150)


def test_a_sentence_that_an_answer_cuts_otherwise_is_still_the_authors() -> None:
    written = "I never boil green tea. It burns the tender leaves."
    whole = passage(written).model_copy(
        update={"sentences": (Sentence(start=0, end=len(written)),)}
    )
    checked = grounder().check(written, [whole])
    assert [each.verdict for each in checked.sentences] == [Verdict.SAID] * 2
    halved = grounder().check("It burns the tender leaves.", [whole])
    assert [each.verdict for each in halved.sentences] != [Verdict.SAID]


def test_what_an_answer_leaves_together_is_the_authors_where_it_stands_together() -> None:
    written = "I never boil green tea. It burns the tender leaves.\n\nBread is different."
    cut = (Sentence(start=0, end=23), Sentence(start=24, end=51), Sentence(start=53, end=72))
    said = Verbatim.of([passage(written).model_copy(update={"sentences": cut})], sparse=SPARSE)

    (source,) = said.sources(written, [(0, 51)])
    assert source is not None
    assert source.quote == "I never boil green tea. It burns the tender leaves."
    skipped = "I never boil green tea. Bread is different."
    assert said.sources(skipped, [(0, len(skipped))]) == [None]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("Call it with `a*b` as the pattern.", "Call it with `ab` as the pattern."),
        ("Call it with `__init__` as the name.", "Call it with `init` as the name."),
        ('Call it with `x="1"` as the name.', "Call it with `x=1` as the name."),
        ("Take the second part, `argv[1]`, of it.", "Take the second part, `argv[2]`, of it."),
        ("Take the second part, argv[1], of it.", "Take the second part, argv[2], of it."),
        ("The size is 2 * 3 pages on disk.", "The size is 2 3 pages on disk."),
        ('He called it a "great" cache once.', "He called it a great cache once."),
        (
            "Read [the whole manual](https://a.example/x) before.",
            "Read [the whole manual](https://b.example/x) before.",
        ),
        ("Look at https://a.example/x before that.", "Look at https://a.example/y before that."),
        ("Read the whole manual before.", "Read [the whole manual](https://b.example/x) before."),
    ],
)
def test_code_and_where_links_lead_count_to_the_character(written: str, told: str) -> None:
    assert verdicts(told, written)[-1] != "said"
    assert verdicts(written, f"{written} It rains.") == ["said"]


@pytest.mark.parametrize(
    "told",
    [
        "Take the second part, `argv[1]`, of `a*b`. [1]",
        "Take the second part, `argv[1]`, of `a*b`[1].",
        "Take the **second** part, `argv[1]`, of `a*b`.",
        "“Take the second part, `argv[1]`, of `a*b`.” [2]",
    ],
)
def test_citation_marks_and_emphasis_do_not_count(told: str) -> None:
    assert verdicts(told, "Take the second part, `argv[1]`, of `a*b`. It rains.") == ["said"]


@pytest.mark.parametrize("mark", ["_", "*", '"', "[1]", "("])
def test_a_long_run_of_marks_is_read_once(mark: str) -> None:
    hostile = f"I like this a{mark * 200_000}b a lot."
    assert verdicts(hostile, f"{hostile} It rains.") != ["supported"]


NOTES = notes(12)


@given(number=st.integers(0, len(NOTES) - 1), data=st.data())
def test_every_sentence_copied_whole_is_said(number: int, data: st.DataObject) -> None:
    evidence = passage(NOTES[number].text)
    sentence = data.draw(st.sampled_from(evidence.sentences))
    quote = evidence.quote(sentence.start, sentence.end)
    checked = grounder().check(f"As it happens, nothing. {quote}", [evidence])
    assert [each.verdict for each in checked.sentences][1:] == [Verdict.SAID]
