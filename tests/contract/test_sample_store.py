"""What every sample store keeps: the port's docstrings, sentence by sentence."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from llm_engineering.domain.errors import BackendUnavailable, NotFound
from llm_engineering.domain.samples import SampleSet
from llm_engineering.infrastructure.memory_samples import MemorySampleStore
from llm_engineering.infrastructure.sample_folders import FolderSampleStore
from llm_engineering.ports.stores import SampleStore
from tests.unit.corpus import NOW, full_set

Opener = Callable[[], SampleStore]


@pytest.fixture(params=("memory", "folder"))
def reopened(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the same sets once more, as another process would."""
    memory = MemorySampleStore()
    return lambda: (
        memory if request.param == "memory" else FolderSampleStore(tmp_path / "home" / "datasets")
    )


@pytest.fixture(scope="module")
def samples() -> SampleSet:
    return full_set()


def later(samples: SampleSet, version: str) -> SampleSet:
    changes = {"version": version, "created_at": NOW + timedelta(days=1)}
    return samples.model_copy(update={"manifest": samples.manifest.model_copy(update=changes)})


def test_a_set_comes_back_whole(reopened: Opener, samples: SampleSet) -> None:
    version = reopened().put(samples)

    assert version == samples.manifest.version
    assert reopened().get(version) == samples
    assert samples.preference
    assert samples.rated


def test_putting_one_again_changes_nothing(reopened: Opener, samples: SampleSet) -> None:
    reopened().put(samples)
    reopened().put(later(samples, samples.manifest.version))

    assert reopened().get(samples.manifest.version) == samples
    assert reopened().manifests() == (samples.manifest,)


def test_the_newest_set_comes_first(reopened: Opener, samples: SampleSet) -> None:
    newest = later(samples, "0newest")
    reopened().put(samples)
    reopened().put(newest)

    assert reopened().manifests() == (newest.manifest, samples.manifest)


def test_an_unknown_version_is_refused_with_those_there_are(
    reopened: Opener, samples: SampleSet
) -> None:
    with pytest.raises(NotFound, match=r"no sample set 'x'; there is none; .*'twin run datasets'"):
        reopened().get("x")
    reopened().put(samples)
    with pytest.raises(NotFound, match=f"no sample set 'x'; there are {samples.manifest.version}"):
        reopened().get("x")


@pytest.mark.parametrize("version", ["", "..", ".hidden", "../elsewhere", "a/b"])
def test_no_version_leads_out_of_the_store(reopened: Opener, version: str) -> None:
    with pytest.raises(NotFound):
        reopened().get(version)


# the folder alone


@pytest.fixture
def home(tmp_path: Path, samples: SampleSet) -> Path:
    FolderSampleStore(tmp_path).put(samples)
    return tmp_path / samples.manifest.version


def test_the_folder_holds_a_file_per_kind_and_split(home: Path) -> None:
    kinds = ("instruct", "preference", "rated")
    splits = ("train", "validation", "test")

    assert {path.name for path in home.iterdir()} == {
        "manifest.json",
        *(f"{kind}.{split}.jsonl" for kind in kinds for split in splits),
    }


def test_reading_makes_no_folder(tmp_path: Path) -> None:
    assert FolderSampleStore(tmp_path / "none").manifests() == ()
    assert not (tmp_path / "none").exists()


def test_a_disk_that_is_full_leaves_nothing_behind(
    tmp_path: Path, samples: SampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BackendUnavailable, match=r"No space left on device; .*with space left"):
        FolderSampleStore(tmp_path).put(samples)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_none_is_one_line(tmp_path: Path, samples: SampleSet) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(BackendUnavailable, match=r"file.*; TWIN_HOME must be a folder"):
        FolderSampleStore(tmp_path / "file").put(samples)


def test_a_set_that_was_being_written_is_not_listed(home: Path) -> None:
    home.rename(home.parent / ".partial-x")

    assert FolderSampleStore(home.parent).manifests() == ()


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("manifest.json", "{}", "manifest.json: Field required"),
        ("instruct.train.jsonl", "no json", "instruct.train.jsonl, line 1"),
        ("instruct.train.jsonl", "", "instruct rows were written"),
        ("rated.test.jsonl", '{"id": "a"}', "rated.test.jsonl, line 1"),
    ],
)
def test_a_damaged_set_is_named_with_the_fix(
    home: Path, file: str, text: str, problem: str
) -> None:
    (home / file).write_text(text, encoding="utf-8")

    with pytest.raises(BackendUnavailable) as raised:
        FolderSampleStore(home.parent).get(home.name)
    assert problem in str(raised.value)
    assert "delete the folder and make it again" in str(raised.value)
