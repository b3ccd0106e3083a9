"""Forgetting deletes what its help says, asks for more, and touches nobody else's files."""

import re
from pathlib import Path

import pytest

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.settings import MongoSettings, Settings
from pipelines.at_work import at_work
from tools.clean_data import GROUPS, clean_data, find_groups

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """With something of every group."""
    home = tmp_path / "home"
    for file in (
        "documents.db",
        "documents.db-wal",
        "index/gen-1/segment",
        "zenml/zenml.db",
        "models/sft-0123456789ab/manifest.json",
        "training/sft-0123456789ab/job/job.json",
        "datasets/5ee2970c/manifest.json",
        "feedback.db",
    ):
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_bytes(bytes(100_000))
    return home


def names(home: Path) -> set[str]:
    return {path.name for path in home.iterdir()}


def test_what_was_trained_and_what_people_said_stays_unless_somebody_wants_it_gone(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean_data(Settings(home=home))

    assert names(home) == {"models", "training", "datasets", "feedback.db"}
    out, err = capsys.readouterr()
    assert "collected\tdocuments.db\t0.1 MB" in out
    assert "trained\tmodels/\t0.1 MB" in out
    assert (
        "forgot what was crawled, indexed and recorded (documents.db, documents.db-wal, index/,"
        in out
    )
    assert "(datasets/, models/, training/; 0.3 MB); 'make clean-data ALL=yes' deletes that" in err
    assert "kept: ratings and corrections by people (feedback.db; 0.1 MB)" in err


def test_everything_is_everything(home: Path) -> None:
    clean_data(Settings(home=home), everything=True)

    assert not home.exists()
    assert home.parent.exists()


def test_a_person_is_asked_for_each_and_may_keep_one(home: Path) -> None:
    asked: list[str] = []

    def ask(question: str) -> bool:
        asked.append(question)
        return "corrections" in question

    clean_data(Settings(home=home), ask=ask)

    assert names(home) == {"models", "training", "datasets"}
    assert len(asked) == 2
    assert asked[0].startswith(
        "Delete sample sets, what a teacher answered, training runs and trained versions ("
    )


def test_what_is_nobodys_of_a_twin_stays(home: Path) -> None:
    (home / "thesis.md").write_text("Years of work.", encoding="utf-8")

    clean_data(Settings(home=home), everything=True)

    assert names(home) == {"thesis.md"}


def test_a_folder_that_is_no_home_stays(tmp_path: Path) -> None:
    (tmp_path / "thesis.md").write_text("Years of work.", encoding="utf-8")
    with pytest.raises(InvalidInput, match="check TWIN_HOME"):
        clean_data(Settings(home=tmp_path), everything=True)
    assert names(tmp_path) == {"thesis.md"}


def test_a_home_with_trained_versions_only_is_one(home: Path) -> None:
    clean_data(Settings(home=home))

    clean_data(Settings(home=home), everything=True)

    assert not home.exists()


def test_nothing_is_forgotten_while_a_pipeline_runs(home: Path) -> None:
    before = names(home)

    with (
        at_work(home),
        at_work(home),  # two pipelines beside each other
        pytest.raises(InvalidInput, match="a pipeline is running"),
    ):
        clean_data(Settings(home=home), everything=True)

    assert names(home) == before | {"run"}
    clean_data(Settings(home=home), everything=True)
    assert not home.exists()


def test_a_file_of_two_names_is_counted_once(home: Path) -> None:
    weights = home / "models" / "sft-0123456789ab" / "manifest.json"
    (home / "runs").mkdir()
    (home / "runs" / "copy").hardlink_to(weights)

    trained = next(each for each in find_groups(home) if each.group.name == "trained")

    assert trained.sizes[home / "models"] > 90_000
    assert trained.sizes[home / "runs"] < 90_000


def test_holes_in_a_file_are_not_counted(home: Path) -> None:
    with (home / "index" / "gen-1" / "segment").open("r+b") as segment:
        segment.truncate(500_000_000)

    collected = next(each for each in find_groups(home) if each.group.name == "collected")

    assert collected.sizes[home / "index"] < 1_000_000


def test_what_servers_keep_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean_data(Settings(home=tmp_path / "none", documents=MongoSettings(kind="mongo")))
    out, err = capsys.readouterr()
    assert "nothing is kept in" in out
    assert "documents in mongo stay" in err


def test_every_place_in_a_home_is_of_a_group() -> None:
    sources = [*(ROOT / "llm_engineering" / "bootstrap").glob("*.py")]
    sources += [*(ROOT / "tools").glob("*.py"), *(ROOT / "pipelines").glob("*.py")]
    named = {
        name
        for source in sources
        for name in re.findall(r"""\bhome / \"([^\"]+)\"""", source.read_text(encoding="utf-8"))
    }

    assert {"models", "training", "feedback.db"} <= named
    assert named <= {entry for group in GROUPS for entry in group.entries}
