"""Nothing goes into production that was not measured to be better."""

from pathlib import Path

import pytest

from llm_engineering.application.figures import measured
from llm_engineering.application.promotion import promote, shortcomings, taint_withdrawn
from llm_engineering.domain.errors import BackendUnavailable, NotFound, NotPromotable
from llm_engineering.domain.training import LOSS_GROWTH, HeldOut
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from tests.unit.corpus import held, note
from tests.unit.versions import Add, adapter_folder, held_out, manifest, result

NAN = float("nan")


def refusal(version: str, registry: FolderModelRegistry) -> str:
    """The one line with which a version is refused."""
    with pytest.raises(NotPromotable) as refused:
        promote(version, registry=registry)
    assert "\n" not in str(refused.value)
    assert registry.production() is None
    assert str(refused.value).startswith(f"{version} may not go into production: ")
    return str(refused.value)


def test_a_version_with_a_lower_test_loss_goes_into_production_with_its_figures(
    registry: FolderModelRegistry, added: Add
) -> None:
    version = added(result(before=held_out(3.0), after=held_out(2.4)))

    promoted = promote(version, registry=registry)

    assert promoted == registry.production()
    assert promoted.reason == "test loss 3.0000 -> 2.4000 (-20.0%) on 20 rows"


@pytest.mark.parametrize("after", [3.0, 3.1, NAN])
def test_a_version_without_a_lower_test_loss_is_refused_with_its_figures(
    registry: FolderModelRegistry, added: Add, after: float
) -> None:
    version = added(result())
    unlearnt = registry.get(version).manifest.model_copy(
        update={"result": result(before=held_out(3.0), after=held_out(after))}
    )

    assert shortcomings(unlearnt, registry=registry) == (
        f"its test loss {after:.4f} is not below the base's 3.0000",
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, held_out(2.0)), (held_out(3.0), None), (held_out(3.0), held_out(2.0, rows=0))],
)
def test_an_unmeasured_version_is_refused(
    registry: FolderModelRegistry, added: Add, before: HeldOut | None, after: HeldOut | None
) -> None:
    version = added(result(before=before, after=after))

    assert "was not measured before and after" in refusal(version, registry)
    assert measured(registry.get(version).manifest) == "not measured"


def test_a_tainted_version_is_refused_with_the_reason(
    registry: FolderModelRegistry, added: Add
) -> None:
    version = added(result())
    registry.taint({"d2"}, reason="d2 was forgotten on 2026-03-02")

    assert "it is tainted: d2 was forgotten on 2026-03-02" in refusal(version, registry)


def test_a_damaged_adapter_is_refused(
    registry: FolderModelRegistry, added: Add, tmp_path: Path
) -> None:
    version = added(result())
    (registry.adapter(version) / "adapter_model.safetensors").write_bytes(b"other weights")

    with pytest.raises(BackendUnavailable, match="its sha256 is"):
        promote(version, registry=registry)
    assert registry.production() is None


def test_an_unknown_version_is_refused(registry: FolderModelRegistry) -> None:
    with pytest.raises(NotFound, match="no version 'sft-1'"):
        promote("sft-1", registry=registry)


@pytest.mark.parametrize("recipe", ["dpo", "kto"])
def test_preferences_that_cost_little_of_the_prose_go_into_production(
    registry: FolderModelRegistry, added: Add, recipe: str
) -> None:
    parent = added(result(before=held_out(3.0), after=held_out(2.4)))
    after = held_out(2.0 * (1 + LOSS_GROWTH), 0.31)
    version = added(result(recipe, before=held_out(2.0, 0.0), after=after), parent=parent)  # type: ignore[arg-type]

    promoted = promote(version, registry=registry)

    assert promoted.reason.endswith("(+5.0%) on 20 rows, reward margin +0.3100")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (held_out(2.0, 0.0), "its reward margin on the test split is +0.0000, not above 0"),
        (held_out(2.0, -0.2), "is -0.2000, not above 0"),
        (held_out(2.0, NAN), "is +nan, not above 0"),
        (held_out(2.0), "its reward margin on the test split is missing"),
        (held_out(2.11, 0.3), "its test loss 2.1100 is +5.5% of its parent's 2.0000, at most +5%"),
    ],
)
def test_preferences_that_did_not_help_or_cost_too_much_are_refused(
    registry: FolderModelRegistry, added: Add, after: HeldOut, said: str
) -> None:

    parent = added(result(before=held_out(3.0), after=held_out(2.4)))
    version = added(result("dpo", before=held_out(2.0, 0.0)), parent=parent)
    figures = result("dpo", before=held_out(2.0, 0.0), after=after)
    changed = registry.get(version).manifest.model_copy(update={"result": figures})

    (missing,) = shortcomings(changed, registry=registry)
    assert said in missing


def test_preferences_are_no_way_around_the_parents_figures(
    registry: FolderModelRegistry, added: Add
) -> None:
    good = result("dpo", before=held_out(2.0, 0.0), after=held_out(2.0, 0.3))
    unlearnt = added(result(before=held_out(3.0), after=held_out(3.0)))
    barely = added(result(before=held_out(3.0), after=held_out(2.97)))
    costly = result("dpo", before=held_out(2.0, 0.0), after=held_out(2.08, 0.3))

    said = refusal(added(good, parent=unlearnt), registry)
    assert f"of its parent {unlearnt}: its test loss 3.0000 is not below" in said
    assert "its parent sft-gone is not registered" in refusal(
        added(good, parent="sft-gone"), registry
    )
    assert "its parent (none) is not registered" in refusal(added(good), registry)
    assert "its parent's test loss changed by -1.0%, its own by +4.0%: no gain" in refusal(
        added(costly, parent=barely), registry
    )


def test_everything_that_is_missing_is_said_at_once(
    registry: FolderModelRegistry, added: Add
) -> None:
    version = added(result("dpo", before=held_out(2.0, 0.0), after=held_out(2.5, -0.1)))
    registry.taint({"d1"}, reason="d1 was forgotten")

    said = refusal(version, registry)
    for each in ("tainted", "-0.1000", "+25.0%", "not registered", "'twin run training'"):
        assert each in said


def test_a_nano_version_says_that_it_proves_no_prose(
    registry: FolderModelRegistry, tmp_path: Path
) -> None:
    adapter = adapter_folder(tmp_path / "trained")
    given = manifest(adapter, result(), nano=True)
    registry.add(given, adapter=adapter)

    assert "not the prose" in promote(given.version, registry=registry).reason


def test_a_version_that_learnt_from_withdrawn_writing_is_marked_once(
    registry: FolderModelRegistry, tmp_path: Path
) -> None:
    kept, gone = note(1), note(2)
    adapter = adapter_folder(tmp_path / "trained")
    given = manifest(adapter, result(), document_ids=(kept.id, gone.id))
    registry.add(given, adapter=adapter)
    assert taint_withdrawn(registry=registry, documents=held([kept, gone])) == ()

    marked = taint_withdrawn(registry=registry, documents=held([kept]))

    assert marked == (given.version,)
    assert taint_withdrawn(registry=registry, documents=held([kept])) == ()
    assert "one of its documents was withdrawn" in refusal(given.version, registry)
