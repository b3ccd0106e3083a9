"""Pairs of the author's words and others' to the same prompt, and what readers say of answers."""

from collections import Counter

import pytest

from llm_engineering.application.datasets.feedback import feedback_samples
from llm_engineering.application.datasets.preference import Said, no_contrast, with_answers
from llm_engineering.domain.chat import Message, Role
from llm_engineering.domain.feedback import Feedback
from llm_engineering.domain.samples import RejectedBy, SampleSet, Split
from tests.unit.corpus import ADA, BOB, NOW, SMALL, built, note, notes

OF_ADA = SMALL.model_copy(update={"author": ADA.name})


@pytest.fixture(scope="module")
def samples() -> SampleSet:
    others = [note(number, author=BOB) for number in range(60)]
    return built([*notes(), *others], config=OF_ADA)


def opinion(name: str = "a", **fields: object) -> Feedback:
    given: dict[str, object] = {
        "id": name,
        "prompt": (Message(role=Role.USER, content=f"What of {name}?"),),
        "served": "The engine weaves patterns.",
        "model": "sft-1",
        "created_at": NOW,
    }
    return Feedback.model_validate(given | fields)


def test_another_author_is_rejected_before_a_model_answers(samples: SampleSet) -> None:
    by_id = {note(number, author=BOB).id: note(number, author=BOB) for number in range(60)}

    assert len(samples.preference) > 0.8 * len(samples.instruct)
    for pair in samples.preference:
        assert pair.rejected_by is RejectedBy.OTHER_AUTHOR
        assert pair.rejected in by_id[pair.rejected_from].text
        assert pair.rejected_from in samples.manifest.document_ids


def test_another_authors_span_is_of_the_same_split_and_about_as_long(samples: SampleSet) -> None:
    for split in (Split.VALIDATION, Split.TEST):
        pairs = [pair for pair in samples.preference if pair.split is split]
        trained = {p.rejected_from for p in samples.preference if p.split is Split.TRAIN}
        assert not {pair.rejected_from for pair in pairs} & trained
    ratios = [len(pair.rejected) / len(pair.chosen) for pair in samples.preference]
    assert sum(0.5 < ratio < 2 for ratio in ratios) > 0.9 * len(ratios)


def test_no_pair_is_made_of_others_when_the_config_says_so() -> None:
    config = OF_ADA.model_copy(update={"rejected": "none"})
    made = built([*notes(), note(1, author=BOB)], config=config)

    assert made.preference == ()


def test_a_models_answers_take_the_place_of_another_author(samples: SampleSet) -> None:
    first, second, third, fourth, fifth, *_ = samples.instruct
    answers = {
        first.id: Said("What a model says."),
        second.id: Said(" "),
        third.id: Said(third.completion),
        fourth.id: Said("What a model says before", ended=False),
        fifth.id: Said(fifth.completion[:20], ended=False),
    }

    made = with_answers(
        samples, answers, rejected_by=RejectedBy.MODEL, rejected_from="sft-1", now=NOW
    )

    pair, cut_off = [each for each in made.preference if each.rejected_by is RejectedBy.MODEL]
    assert (pair.chosen, pair.rejected) == (first.completion, "What a model says.")
    assert (pair.prompt, pair.target) == (first.prompt, first.target)
    assert (pair.rejected_from, pair.split) == ("sft-1", first.split)
    assert len([each for each in made.preference if each.prompt == first.prompt]) == 1
    assert made.manifest.dropped["pair: the rejected side is empty"] == 1
    assert made.manifest.dropped["pair: both sides say the same"] == 2
    assert (pair.rejected_ended, cut_off.rejected_ended) == (True, False)
    assert (cut_off.prompt, cut_off.rejected) == (fourth.prompt, "What a model says before")
    assert made.manifest.version != samples.manifest.version
    assert made.manifest.splits[Split.TRAIN].preference == sum(
        each.split is Split.TRAIN for each in made.preference
    )


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        ("A loaf.", "…", "the rejected side is empty"),
        ("A  loaf.", "a loaf.", "both sides say the same"),
        ("A loaf.", "A cake.", ""),
    ],
)
def test_two_sides_must_differ(chosen: str, rejected: str, reason: str) -> None:
    assert no_contrast(chosen, rejected) == reason


def test_a_correction_is_chosen_over_what_was_served() -> None:
    made = built(
        notes(),
        feedback=[opinion(edit="The engine has no pretensions.", liked=False, by_author=True)],
    )

    (pair,) = made.preference
    (rating,) = made.rated
    assert (pair.chosen, pair.rejected) == (
        "The engine has no pretensions.",
        "The engine weaves patterns.",
    )
    assert (pair.rejected_by, pair.rejected_from, pair.target) == (RejectedBy.SERVED, "a", None)
    assert (rating.completion, rating.liked, rating.feedback_id) == (pair.rejected, False, "a")
    assert pair.split is rating.split


def test_a_correction_that_changes_nothing_is_dropped() -> None:
    made = built(notes(), feedback=[opinion(edit="the engine weaves patterns.", by_author=True)])

    assert made.preference == ()
    assert made.manifest.dropped["feedback: both sides say the same"] == 1


def test_one_prompt_is_always_on_one_side() -> None:
    same = (Message(role=Role.USER, content="Which?"),)
    given = [opinion(str(number), prompt=same, liked=True) for number in range(20)]
    _, rated = feedback_samples(given, documents={}, rule=SMALL.split, dropped=Counter())

    assert len(rated) == 20
    assert len({each.split for each in rated}) == 1


def test_feedback_on_held_out_documents_is_not_trained_on() -> None:
    documents = {"past": Split.TRAIN, "later": Split.VALIDATION, "latest": Split.TEST}
    given = [
        opinion(f"{name} {number}", liked=True, document_ids=("past", name))
        for name in (*documents, "gone")
        for number in range(50)
    ]
    dropped: Counter[str] = Counter()
    _, rated = feedback_samples(given, documents=documents, rule=SMALL.split, dropped=dropped)

    assert dropped == {"feedback: on a document that is held out or gone": 100}
    later = {each.split for each in rated if each.feedback_id.startswith("later")}
    assert Split.TRAIN not in later
    assert {each.split for each in rated if each.feedback_id.startswith("past")} == set(Split)


def test_a_set_names_the_documents_that_its_feedback_rests_on() -> None:
    """Their words are in its prompts: erasing one has to taint what learnt them."""
    untouched = note(0, text="Too short to teach.")
    documents = [untouched, *notes()[1:]]
    given = opinion(
        edit="The engine has no pretensions.", by_author=True, document_ids=(untouched.id,)
    )
    made = built(documents, feedback=[given])
    answers = {made.instruct[0].id: Said("Nothing like it at all.")}
    later = with_answers(made, answers, rejected_by=RejectedBy.MODEL, rejected_from="m", now=NOW)

    assert untouched.id not in built(documents).manifest.document_ids
    assert untouched.id in made.manifest.document_ids
    assert untouched.id in later.manifest.document_ids


def test_an_edit_by_anybody_but_the_author_is_never_a_target() -> None:
    made = built(notes(), feedback=[opinion(edit="The engine has no pretensions.")])

    assert not [pair for pair in made.preference if pair.rejected_by is RejectedBy.SERVED]
    assert made.manifest.dropped["feedback: an edit that is not the author's"] == 1
