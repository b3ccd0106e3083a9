"""Labels: cheap, the same however an answer came, and never kind to a changed fact."""

import time
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.rag.saying import SaidText
from llm_engineering.domain.chat import Verdict
from llm_engineering.ports.models import Judged
from tests.unit.corpus import notes
from tests.unit.grounded import EMBEDDER, SPARSE, grounder, passage

FACTS = (
    "Writers wait for {n} seconds and then raise an error.",
    "The nightly backup copies {n} files to the second disk.",
    "My server has {n} cores and the database fits in memory.",
    "I keep {n} releases of the package on the mirror.",
)


@given(fact=st.sampled_from(FACTS), one=st.integers(2, 99_999), other=st.integers(2, 99_999))
def test_a_number_that_was_changed_is_never_backed(fact: str, one: int, other: int) -> None:
    (checked,) = (
        grounder(min_nearness=0)
        .check(fact.format(n=other), [passage(fact.format(n=one))])
        .sentences
    )
    assert (checked.verdict is Verdict.SAID) == (one == other)
    assert (checked.verdict is Verdict.UNSUPPORTED) == (one != other)


@given(
    fact=st.sampled_from(
        (
            "The worker|retries the upload after the first error.",
            "Django|fires signals for the deleted rows of a table.",
            "The index|holds the vectors of all my old notes.",
            "My scripts|read the settings from the environment.",
        )
    ),
    negation=st.sampled_from(("never", "does not ever", "no longer", "hardly", "cannot")),
)
def test_a_negation_that_was_put_in_is_never_backed(fact: str, negation: str) -> None:
    subject, rest = fact.split("|")
    evidence = passage(f"{subject} {rest}")
    (checked,) = (
        grounder(min_nearness=0).check(f"{subject} {negation} {rest}", [evidence]).sentences
    )
    assert checked.verdict is Verdict.UNSUPPORTED


def test_all_passages_count_not_only_the_first() -> None:
    evidence = [passage("Tea is green."), passage("My server has 16 cores and much memory.")]
    (checked,) = grounder().check("My server has 16 cores.", evidence).sentences
    assert checked.verdict is Verdict.SUPPORTED
    assert checked.source is not None
    assert checked.source.document_id == evidence[1].document.id


def test_the_share_is_of_the_sentences_that_claim_something() -> None:
    evidence = [passage("My server has 16 cores and much memory.")]
    checked = grounder().check(
        "# Servers\n\nMy server has 16 cores. Do you like it? It was made in Norway by hand.",
        evidence,
    )
    assert [each.verdict.value for each in checked.sentences] == ["supported", "unsupported"]
    assert checked.share == 0.5
    assert grounder().check("Do you like it?", evidence).share == 1


def test_an_embedder_is_asked_once_and_only_for_what_passed_the_rules() -> None:
    calls: list[int] = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(EMBEDDER, name)

        def embed(self, texts: list[str]) -> object:
            calls.append(len(texts))
            return EMBEDDER.embed(texts)

    counting = replace(grounder(), embedder=Counting())  # type: ignore[arg-type]
    evidence = [passage("My server has 16 cores and much memory. I never boil green tea.")]
    counting.check("My server has 16 cores. My server has 8 cores. Green tea cures.", evidence)
    assert calls == [2]
    counting.check("I never boil green tea.", evidence)
    assert calls == [2]


def test_what_is_far_in_meaning_is_not_supported() -> None:
    evidence = [passage("My server has 16 cores and much memory.")]
    (checked,) = grounder(min_nearness=1).check("My server has 16 cores.", evidence).sentences
    assert checked.verdict is Verdict.UNSUPPORTED


class Judge:
    """Finds that everything follows that names tea, and nothing that names coffee."""

    name = "judge"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def judge(self, pairs: list[tuple[str, str]]) -> list[Judged]:
        self.asked += pairs
        return [
            Judged(0.02, 0.03, 0.95)
            if "coffee" in statement
            else Judged(0.9, 0.05, 0.05)
            if "tea" in statement
            else Judged(0.3, 0.6, 0.1)
            for _, statement in pairs
        ]


def test_an_entailment_model_decides_where_there_is_one() -> None:
    judge = Judge()
    asked = replace(grounder(), entailment=judge)  # type: ignore[arg-type]
    evidence = [passage("I never boil green tea. Boiling burns the leaves of it.")]
    checked = asked.check(
        "Green tea is something I keep below the boil [1]. My tea and coffee never boil. "
        "The leaves burn without shade. I never boil green tea.",
        evidence,
    )
    assert [each.verdict.value for each in checked.sentences] == [
        *("supported", "unsupported", "unsupported", "said")
    ]
    assert ("I never boil green tea.", "I never boil green tea.") not in judge.asked
    assert all("[1]" not in statement for _, statement in judge.asked)


@pytest.mark.parametrize("passages", [1, 12])
def test_checking_a_long_answer_takes_milliseconds(passages: int) -> None:
    evidence = [passage(note.text) for note in notes(passages)]
    answer = " ".join(note.text.split("\n\n")[0] for note in notes(40)[30:])
    check = grounder()
    check.check(answer, evidence)
    started = time.perf_counter()
    checked = check.check(answer, evidence)
    took = time.perf_counter() - started
    assert len(checked.sentences) > 20
    assert took < 1


def test_odd_text_is_no_error() -> None:
    hard = "a." * 5_000 + "[" * 5_000 + "! " * 5_000 + "“" * 100 + "\ud800" * 3 + "\x00\r\n"
    assert grounder().check(hard, [passage("I never boil green tea.")]).share <= 1
    assert SPARSE.name


EVIDENCE = [passage("My server has 16 cores and much memory. I never boil green tea.")]
ANSWER = (
    "My server has 16 cores [1]. It hums.\n\n- I never boil green tea [1]\n- Nobody does, ever."
)


@given(cuts=st.lists(st.integers(0, len(ANSWER)), max_size=12))
def test_labels_do_not_depend_on_how_an_answer_was_cut(cuts: list[int]) -> None:
    saying = SaidText((), EVIDENCE, sparse=SPARSE)
    edges = [0, *sorted(cuts), len(ANSWER)]
    text = "".join(saying.feed(ANSWER[a:b]) for a, b in pairwise(edges))
    whole = SaidText((), EVIDENCE, sparse=SPARSE)
    expected = whole.feed(ANSWER) + whole.end()
    assert grounder().check(text + saying.end(), EVIDENCE) == grounder().check(expected, EVIDENCE)
