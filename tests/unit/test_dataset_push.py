"""`twin dataset push` against a hub that remembers what it was told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_engineering.domain.errors import BackendUnavailable, InvalidInput
from llm_engineering.domain.samples import SampleSet
from tests.unit.corpus import built, notes
from tools.dataset_files import push_set

hub = pytest.importorskip("huggingface_hub")
pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def samples() -> SampleSet:
    return built(notes())


class Hub:
    """What HfApi would be, with repositories that are private unless they are in `public`."""

    calls: list[tuple[str, Any]]
    public: frozenset[str] = frozenset()
    error: Exception | None = None

    def __init__(self, token: str) -> None:
        type(self).calls.append(("token", token))

    def create_repo(self, name: str, *, repo_type: str, private: bool, exist_ok: bool) -> str:
        if self.error is not None:
            raise self.error
        self.calls.append(("create", (name, repo_type, private)))
        return f"https://hub.example/datasets/{name}"

    def dataset_info(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(private=name not in self.public)

    def upload_folder(self, *, folder_path: Path, **_: str) -> None:
        self.calls.append(("upload", sorted(path.name for path in folder_path.iterdir())))


@pytest.fixture
def remembering(monkeypatch: pytest.MonkeyPatch) -> type[Hub]:
    kind = type("FreshHub", (Hub,), {"calls": []})
    monkeypatch.setattr(hub, "HfApi", kind)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    return kind


def test_a_set_is_private_and_goes_with_its_card(
    samples: SampleSet, remembering: type[Hub]
) -> None:
    url = push_set(samples, "ada/notes", private=True)

    assert url == "https://hub.example/datasets/ada/notes"
    assert remembering.calls == [
        ("token", "hf_secret"),
        ("create", ("ada/notes", "dataset", True)),
        (
            "upload",
            [
                "README.md",
                "instruct.test.parquet",
                "instruct.train.parquet",
                "instruct.validation.parquet",
                "manifest.json",
            ],
        ),
    ]


def test_private_writing_does_not_go_where_everybody_reads(
    samples: SampleSet, remembering: type[Hub]
) -> None:
    remembering.public = frozenset({"ada/notes"})

    with pytest.raises(InvalidInput, match="'ada/notes' is public already; give --public"):
        push_set(samples, "ada/notes", private=True)
    assert "upload" not in dict(remembering.calls)
    push_set(samples, "ada/notes", private=False)
    assert "upload" in dict(remembering.calls)


def test_a_hub_that_cannot_be_reached_is_one_line(
    samples: SampleSet, remembering: type[Hub]
) -> None:
    remembering.error = OSError("no route to host\nand more")

    with pytest.raises(BackendUnavailable, match=r"no route to host; check HF_TOKEN") as raised:
        push_set(samples, "ada/notes", private=True)
    assert "hf_secret" not in str(raised.value)
    assert "\n" not in str(raised.value)
