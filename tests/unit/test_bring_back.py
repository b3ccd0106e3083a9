"""What was in production before comes back by being asked for, and says what that means."""

from pathlib import Path

import pytest

from llm_engineering.application.promotion import bring_back, promote
from llm_engineering.domain.errors import BackendUnavailable, NotPromotable
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from tests.unit.versions import Add, there, tuned


def test_what_was_in_production_before_comes_back_although_it_is_worse(
    registry: FolderModelRegistry, added: Add
) -> None:
    first, second = added(tuned(2.5)), added(tuned(2.4))
    promote(first, registry=registry)
    promote(second, registry=registry)
    with pytest.raises(NotPromotable, match=r"2\.5000 is not below the 2\.4000"):
        promote(first, registry=registry)

    back = bring_back(first, registry=registry)

    assert (back, back.previous) == (there(registry), second)
    assert back.reason.startswith("it was in production before; test loss 3.0000 -> 2.5000")
    assert f"beside {second} test loss 2.5000 against 2.4000" in back.reason


def test_what_never_was_in_production_cannot_come_back(
    registry: FolderModelRegistry, added: Add
) -> None:
    promote(added(tuned(2.5)), registry=registry)

    with pytest.raises(NotPromotable, match="was never in production"):
        bring_back(added(tuned(2.6)), registry=registry)


def test_a_tainted_or_damaged_version_does_not_come_back(
    registry: FolderModelRegistry, added: Add
) -> None:
    first = added(tuned(2.5), document_ids=("d9",))
    promote(first, registry=registry)
    second = promote(added(tuned(2.4)), registry=registry)
    weights = registry.adapter(first) / "adapter_model.safetensors"
    whole = weights.read_bytes()

    weights.write_bytes(b"other weights")
    with pytest.raises(BackendUnavailable, match="its sha256 is"):
        bring_back(first, registry=registry)
    weights.write_bytes(whole)
    registry.taint({"d9"}, reason="d9 was forgotten")
    with pytest.raises(NotPromotable, match="it is tainted: d9 was forgotten"):
        bring_back(first, registry=registry)
    assert registry.production() == second


def test_a_nano_comes_back_in_the_place_of_a_model_that_writes_only_when_a_person_says_so(
    registry: FolderModelRegistry, added: Add
) -> None:
    nano, real = added(tuned(1.5), nano=True), added(tuned(2.5), base="org/135m")
    promote(nano, registry=registry)
    promote(real, registry=registry, uncompared=True)

    with pytest.raises(NotPromotable, match=f"{nano} --uncompared' replaces it"):
        bring_back(nano, registry=registry)
    assert bring_back(nano, registry=registry, uncompared=True).previous == real


def test_a_version_comes_back_where_the_record_of_production_was_lost(
    registry: FolderModelRegistry, added: Add, tmp_path: Path
) -> None:
    first, second = added(tuned(2.5)), added(tuned(2.4))
    promote(first, registry=registry)
    promote(second, registry=registry)
    (tmp_path / "models" / "production.json").unlink()

    assert bring_back(first, registry=registry).previous is None


def test_bringing_back_what_is_there_changes_nothing(
    registry: FolderModelRegistry, added: Add
) -> None:
    first = added(tuned(2.5))
    promote(first, registry=registry)
    promote(added(tuned(2.4)), registry=registry)
    back = bring_back(first, registry=registry)

    assert bring_back(first, registry=registry) == back == there(registry)
