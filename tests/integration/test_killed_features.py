"""kill -9 anywhere in a features run, then the same command: the index of one clean run."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_engineering.application.rag.retrieve import RetrievalConfig, rank
from llm_engineering.bootstrap import App, open_app
from llm_engineering.domain.chunks import IndexEntry
from llm_engineering.domain.documents import Document
from tests.integration.killed_features import settings
from tests.unit.writing import NOW, document

POINTS = (
    *("embed:1", "embed:3", "put:1", "put:4", "relabel", "remove", "publish"),
    *("rename", "replace"),
)

Outcome = tuple[dict[str, IndexEntry], list[tuple[str, float]], int]


def note(number: int, version: int = 1) -> Document:
    text = "\n\n".join(
        f"## Part {part}\n\nNote {number} in version {version} tells of thing{number * 31 + part}."
        for part in range(4)
    )
    return document(text, url=f"https://ada.example/{number}", title=f"Note {number}")


def long_note(preface: str = "") -> Document:
    """Most of its chunks only move when something is put above it."""
    parts = [f"## Part {part}\n\nThe long note tells of thing{900 + part}." for part in range(30)]
    return document(
        "\n\n".join([preface, *parts]), url="https://ada.example/long", title="A long note"
    )


def put_first_version(app: App) -> None:
    app.documents.put([*(note(n) for n in range(12)), long_note()])


def change_everything(app: App) -> None:
    app.documents.put([long_note("This is how it begins now.")])
    app.documents.put([note(n, version=2) for n in range(4)])
    app.documents.put([note(n) for n in range(12, 20)])
    app.documents.remove([note(n).id for n in (5, 6)], at=NOW)


def run_features(home: Path, point: str = "never") -> int:
    child = [sys.executable, "-m", "tests.integration.killed_features", str(home), point]
    return subprocess.run(child, check=False).returncode


def entries(app: App) -> dict[str, IndexEntry]:
    build = app.index.build(app.index.manifest())
    try:
        return {entry.chunk.id: entry for entry in build.entries()}
    finally:
        build.discard()


def answers(app: App) -> list[tuple[str, float]]:
    ranking = rank(
        "what does the note tell of thing94",
        config=RetrievalConfig(),
        index=app.index,
        embedder=app.embedder,
        sparse=app.sparse,
    )
    return [(hit.sentence.uuid(), round(hit.score, 5)) for hit in ranking.hits[:5]]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What one clean run over the final documents holds and answers."""
    home = tmp_path_factory.mktemp("clean")
    with open_app(settings(home)) as app:
        put_first_version(app)
        change_everything(app)
    assert run_features(home) == 0
    with open_app(settings(home)) as app:
        return entries(app), answers(app), app.index.count()


@pytest.fixture
def indexed(tmp_path: Path) -> Iterator[App]:
    """A home with a published first version, held open as the API holds it."""
    with open_app(settings(tmp_path)) as app:
        put_first_version(app)
        assert run_features(tmp_path) == 0
        yield app


@pytest.mark.parametrize("point", POINTS)
def test_killed_then_run_again_is_one_clean_run_and_readers_never_notice(
    indexed: App, point: str, expected: Outcome
) -> None:
    version, before = indexed.index.version(), answers(indexed)
    change_everything(indexed)

    assert run_features(indexed.home, point) == -signal.SIGKILL
    assert indexed.index.version() == version
    assert answers(indexed) == before

    assert run_features(indexed.home) == 0
    assert indexed.index.version() != version
    assert (entries(indexed), answers(indexed), indexed.index.count()) == expected


def test_killed_many_times_in_a_row_still_ends_as_one_clean_run(
    indexed: App, expected: Outcome
) -> None:
    change_everything(indexed)
    for point in ("embed:1", "put:1", "put:1", "embed:2", "publish", "rename", "replace"):
        assert run_features(indexed.home, point) == -signal.SIGKILL
    assert run_features(indexed.home) == 0
    assert (entries(indexed), answers(indexed), indexed.index.count()) == expected
