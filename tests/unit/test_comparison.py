"""Nothing takes the place of what is in production that was not found better than that."""

from pathlib import Path

import pytest

from llm_engineering.application.promotion import decided, promote
from llm_engineering.domain.errors import NotPromotable
from llm_engineering.domain.models import Comparison, SameRows
from llm_engineering.domain.reports import TrainedVersion, TrainingReport
from llm_engineering.domain.training import LOSS_GROWTH, JobResult
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from tests.unit.versions import Add, held_out, result, there, tuned


def preferred(before: float, after: float) -> JobResult:
    """Preferences learnt, measured on five pairs."""
    return result("dpo", before=held_out(before, 0.0, rows=5), after=held_out(after, 0.3, rows=5))


def refusal(version: str, registry: FolderModelRegistry) -> str:
    """The one line with which a version is kept from the place of another, which stays."""
    before = there(registry)
    with pytest.raises(NotPromotable) as refused:
        promote(version, registry=registry)
    assert there(registry) == before
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_version_with_a_lower_loss_than_productions_replaces_it_and_says_so(
    registry: FolderModelRegistry, added: Add
) -> None:
    first, better = added(tuned(2.5)), added(tuned(2.4))
    assert promote(first, registry=registry).comparison is None

    promoted = promote(better, registry=registry)

    assert promoted.previous == first
    assert promoted.comparison == Comparison(
        production=first,
        on=SameRows(dataset="5ee2970c", rows=20, loss=2.4, production_loss=2.5, allowed_growth=0.0),
    )
    assert promoted.reason == (
        "test loss 3.0000 -> 2.4000 (-20.0%) on 20 rows; "
        f"beside {first} test loss 2.4000 against 2.5000 on the 20 rows of sample set 5ee2970c"
    )


@pytest.mark.parametrize("loss", [2.5, 2.6])
def test_a_version_that_is_no_better_than_production_stays_out_whoever_asks(
    registry: FolderModelRegistry, added: Add, loss: float
) -> None:
    first, worse = added(tuned(2.5)), added(tuned(loss))
    promote(first, registry=registry)

    assert (
        f"its test loss {loss:.4f} is not below the 2.5000 of {first}, which is in production, "
        "on the same 20 rows"
    ) in refusal(worse, registry)
    with pytest.raises(NotPromotable, match="is not below"):
        promote(worse, registry=registry, uncompared=True)


@pytest.mark.parametrize(
    ("other", "figures", "said"),
    [
        ({"base": "org/8b"}, tuned(1.0), "its base is org/8b, that of"),
        ({"dataset": "77aa"}, tuned(1.0), "it was measured on sample set 77aa,"),
        ({}, tuned(1.0, rows=19), "it was measured on 19 rows,"),
        ({"nano": True}, tuned(1.0), "it is a nano, which writes no prose, and"),
    ],
)
def test_losses_that_mean_something_else_are_not_compared_unless_a_person_says_so(
    registry: FolderModelRegistry,
    added: Add,
    other: dict[str, object],
    figures: JobResult,
    said: str,
) -> None:
    first, unlike = added(tuned(2.5)), added(figures, **other)
    promote(first, registry=registry)

    line = refusal(unlike, registry)
    assert f"{unlike} cannot be compared with {first}, which is in production: {said}" in line
    assert f"'twin model promote {unlike} --uncompared' replaces it all the same" in line

    promoted = promote(unlike, registry=registry, uncompared=True)
    assert promoted.comparison is not None
    assert promoted.comparison.on is None
    assert promoted.comparison.incomparable.startswith(said)
    assert f"; not compared with {first}: {said}" in promoted.reason


def test_asking_for_no_comparison_asks_for_nothing_else(
    registry: FolderModelRegistry, added: Add
) -> None:
    first, unlearnt = added(tuned(2.5)), added(tuned(3.1), base="org/8b")
    promote(first, registry=registry)

    with pytest.raises(NotPromotable, match=r"3\.1000 is not below the base's 3\.0000"):
        promote(unlearnt, registry=registry, uncompared=True)


def test_a_model_that_writes_needs_to_be_put_in_the_place_of_a_nano_by_hand_too(
    registry: FolderModelRegistry, added: Add
) -> None:
    nano, real = added(tuned(1.5), nano=True), added(tuned(2.5), base="org/135m")
    promote(nano, registry=registry)

    assert "its base is org/135m" in refusal(real, registry)


def test_preferences_may_cost_a_little_of_what_is_in_production(
    registry: FolderModelRegistry, added: Add
) -> None:
    start = added(tuned(2.4))
    promote(start, registry=registry)
    mild = added(preferred(2.0, 2.04), parent=start, dataset="5ee2970c with pairs")

    promoted = promote(mild, registry=registry)

    assert promoted.comparison is not None
    assert promoted.comparison.on is not None
    assert promoted.comparison.on.loss == pytest.approx(2.4 * 1.02)
    assert (promoted.comparison.on.rows, promoted.comparison.on.allowed_growth) == (20, LOSS_GROWTH)


def test_preferences_that_start_from_something_worse_than_production_stay_out(
    registry: FolderModelRegistry, added: Add
) -> None:
    best, worse = added(tuned(2.0)), added(tuned(2.4))
    promote(best, registry=registry)

    line = refusal(added(preferred(1.5, 1.5), parent=worse), registry)
    assert f"its test loss 2.4000 is +20.0% of the 2.0000 of {best}" in line
    assert "at most +5% is allowed" in line


def test_preferences_cost_a_little_once_and_not_with_every_training(
    registry: FolderModelRegistry, added: Add
) -> None:
    start = added(tuned(2.4))
    current = added(preferred(2.0, 2.04), parent=start)
    promote(start, registry=registry)
    promote(current, registry=registry)

    line = refusal(added(preferred(2.0, 2.05), parent=start), registry)
    assert f"its test loss 2.4600 is not below the 2.4480 of {current}" in line
    assert promote(added(preferred(2.0, 2.03), parent=start), registry=registry).previous == current


def test_fine_tuning_is_weighed_against_preferences_by_what_those_made_of_theirs(
    registry: FolderModelRegistry, added: Add
) -> None:
    start = added(tuned(2.4))
    current = added(preferred(2.0, 1.9), parent=start)  # 2.4 * 0.95 on the rows of fine-tuning
    promote(current, registry=registry)

    assert "2.3000 is not below the 2.2800" in refusal(added(tuned(2.3)), registry)
    assert promote(added(tuned(2.2)), registry=registry).previous == current


def test_a_production_whose_start_is_gone_can_be_compared_with_nothing(
    registry: FolderModelRegistry, added: Add, tmp_path: Path
) -> None:
    start = added(tuned(2.4))
    current = added(preferred(2.0, 1.9), parent=start)
    promote(current, registry=registry)
    (tmp_path / "models" / start / "manifest.json").write_text("{")

    assert f"the test loss of {current} is not known" in refusal(added(tuned(1.0)), registry)


def test_what_is_in_production_stays_as_it_is(registry: FolderModelRegistry, added: Add) -> None:
    promoted = promote(added(tuned(2.5)), registry=registry)

    assert promote(promoted.manifest.version, registry=registry) == promoted


# what the pipeline does by itself


def trained(version: str, figures: JobResult, *more: tuple[str, JobResult]) -> TrainingReport:
    made = ((version, figures), *more)
    return TrainingReport(
        versions=tuple(TrainedVersion(version=name, result=each) for name, each in made)
    )


def test_where_preferences_went_wrong_the_fine_tuning_before_them_is_promoted(
    registry: FolderModelRegistry, added: Add
) -> None:
    spoilt = preferred(2.5, 2.9)
    tuned_one = added(tuned(2.5))
    preferred_one = added(spoilt, parent=tuned_one)

    report = decided(
        trained(tuned_one, tuned(2.5), (preferred_one, spoilt)), wanted=True, registry=registry
    )

    assert report.promoted == there(registry).manifest.version == tuned_one
    assert report.why.startswith(there(registry).reason)
    assert f"{preferred_one} may not go into production: its test loss 2.9000" in report.why


def test_where_preferences_went_well_it_is_the_version_that_learnt_them(
    registry: FolderModelRegistry, added: Add
) -> None:
    figures = preferred(2.5, 2.5)
    tuned_one = added(tuned(2.5))
    preferred_one = added(figures, parent=tuned_one)

    report = decided(
        trained(tuned_one, tuned(2.5), (preferred_one, figures)), wanted=True, registry=registry
    )

    assert report.promoted == there(registry).manifest.version == preferred_one
    assert report.why == there(registry).reason


def test_where_nothing_may_be_promoted_each_version_is_told_why(
    registry: FolderModelRegistry, added: Add
) -> None:
    promote(added(tuned(2.0)), registry=registry)
    spoilt = preferred(2.5, 2.9)
    tuned_one = added(tuned(2.5))
    preferred_one = added(spoilt, parent=tuned_one)

    report = decided(
        trained(tuned_one, tuned(2.5), (preferred_one, spoilt)), wanted=True, registry=registry
    )

    assert report.promoted == ""
    assert [f"{each} may not go" in report.why for each in (preferred_one, tuned_one)] == [True] * 2


def test_a_training_run_promotes_what_is_better_and_says_why(
    registry: FolderModelRegistry, added: Add
) -> None:
    version = added(tuned(2.5))

    report = decided(trained(version, tuned(2.5)), wanted=True, registry=registry)

    assert (report.promoted, report.why) == (version, there(registry).reason)


def test_a_training_run_never_promotes_by_itself_what_cannot_be_compared(
    registry: FolderModelRegistry, added: Add
) -> None:
    promote(added(tuned(2.5)), registry=registry)
    version = added(tuned(1.0), dataset="77aa")

    report = decided(trained(version, tuned(1.0)), wanted=True, registry=registry)

    assert report.promoted == ""
    assert f"'twin model promote {version} --uncompared'" in report.why


def test_training_an_archived_version_again_does_not_bring_it_back(
    registry: FolderModelRegistry, added: Add
) -> None:
    first, second = added(tuned(2.5)), added(tuned(2.4))
    promote(first, registry=registry)
    promote(second, registry=registry)

    report = decided(trained(first, tuned(2.5)), wanted=True, registry=registry)

    assert report.promoted == ""
    assert "is not below the 2.4000" in report.why
    assert there(registry).manifest.version == second


def test_a_training_run_that_was_not_asked_promotes_nothing(
    registry: FolderModelRegistry, added: Add
) -> None:
    version = added(tuned(2.5))

    report = decided(trained(version, tuned(2.5)), wanted=False, registry=registry)

    assert (report.promoted, registry.production()) == ("", None)
    assert report.why == f"nobody asked; 'twin model promote {version}' does"
