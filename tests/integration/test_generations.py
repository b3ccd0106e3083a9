"""An embedded index among processes that die, publish and read at the same time."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm_engineering.domain.documents import EVERYTHING
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.vectors import Leg
from llm_engineering.infrastructure import qdrant_edge
from llm_engineering.infrastructure.generations import Generations, copy_tree
from llm_engineering.infrastructure.qdrant_edge import EdgeVectorIndex
from llm_engineering.infrastructure.qdrant_edge_shard import EdgeVersion, open_version
from llm_engineering.ports.stores import VectorIndex
from tests.contract.indexed_chunks import MANIFEST, dense, embedded, entry, found, publish, sparse
from tests.integration.index_builder import BEFORE, LATE_POINTS, POINTS, WANTED, bring_in_line

ROOT = Path(__file__).parents[2]
BUILDER = [sys.executable, "-m", "tests.integration.index_builder"]
OLD = {each.entry.chunk.text for each in BEFORE}
NEW = {each.entry.chunk.text for each in WANTED if each.entry.duplicate_of is None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def index(folder: Path) -> Iterator[EdgeVectorIndex]:
    """Open before anybody else builds; holds BEFORE."""
    index = EdgeVectorIndex(folder)
    publish(index, *BEFORE)
    assert found(index) == OLD
    yield index
    index.close()


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeVectorIndex]:
    """What BEFORE and then WANTED leave when nobody dies."""
    index = EdgeVectorIndex(tmp_path_factory.mktemp("clean") / "index")
    publish(index, *BEFORE)
    bring_in_line(index)
    yield index
    index.close()


def run_builder(folder: Path, *point: str) -> int:
    return subprocess.run([*BUILDER, str(folder), *point], cwd=ROOT, timeout=120).returncode


def everything(index: VectorIndex) -> tuple[object, ...]:
    """Its entries, and how it ranks them."""
    build = index.build(MANIFEST)
    entries = sorted(build.entries(), key=lambda each: each.chunk.id)
    build.discard()
    legs: list[Leg] = [
        dense((1, 2, 3, 4), limit=199),
        dense((4, 1, 0, 0), limit=199),
        *map(sparse, range(60)),
    ]
    ranked = [[(hit.sentence, round(hit.score, 4)) for hit in hits] for hits in index.search(legs)]
    return entries, [sorted(hits, key=lambda hit: (-hit[1], hit[0])) for hits in ranked]


@pytest.mark.parametrize("point", POINTS)
def test_killed_before_publishing_the_old_version_answers_and_a_rerun_ends_the_same(
    folder: Path, index: EdgeVectorIndex, clean: EdgeVectorIndex, point: str
) -> None:
    assert run_builder(folder, point) == -signal.SIGKILL
    opened_after = EdgeVectorIndex(folder)
    assert found(index) == found(opened_after) == OLD
    opened_after.close()
    assert run_builder(folder) == 0
    assert found(index) == NEW
    assert everything(index) == everything(clean)
    assert len(list(folder.iterdir())) == 4  # pointer, lock, this version and the one before


@pytest.mark.parametrize("point", LATE_POINTS)
def test_killed_after_publishing_the_new_version_answers_and_a_rerun_changes_nothing(
    folder: Path, index: EdgeVectorIndex, clean: EdgeVectorIndex, point: str
) -> None:
    assert run_builder(folder, point) == -signal.SIGKILL
    version = index.version()
    assert found(index) == NEW
    assert run_builder(folder) == 0
    assert index.version() == version
    assert everything(index) == everything(clean)
    assert len(list(folder.iterdir())) == 4


def test_what_was_put_before_the_kill_is_not_put_again(folder: Path) -> None:
    assert run_builder(folder, "before it is made durable") == -signal.SIGKILL
    index = EdgeVectorIndex(folder)
    build = index.build(MANIFEST)
    assert build.dirty()
    held = {each.chunk.id: each for each in build.entries()}
    assert held == {each.entry.chunk.id: each.entry for each in WANTED}
    index.close()


def test_a_killed_first_build_leaves_an_index_that_is_still_empty(folder: Path) -> None:
    assert run_builder(folder, "between rename and pointer") == -signal.SIGKILL
    index = EdgeVectorIndex(folder)
    assert (index.version(), index.count()) == ("", 0)
    assert run_builder(folder) == 0
    assert found(index) == NEW
    index.close()


def test_a_reader_follows_what_another_process_published(
    folder: Path, index: EdgeVectorIndex
) -> None:
    assert run_builder(folder) == 0
    assert found(index) == NEW


def test_two_processes_read_one_version_at_the_same_time(
    folder: Path, index: EdgeVectorIndex
) -> None:
    script = (
        "import sys; from pathlib import Path;"
        " from llm_engineering.infrastructure.qdrant_edge import EdgeVectorIndex;"
        " print(EdgeVectorIndex(Path(sys.argv[1])).count(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "80\n"
        again = EdgeVectorIndex(folder)
        assert found(index) == found(again) == OLD
        again.close()


@contextmanager
def holding_builder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*BUILDER, str(folder), "hold"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == "holding\n"
        yield builder


def test_while_a_process_builds_others_read_but_may_not_build(
    folder: Path, index: EdgeVectorIndex
) -> None:
    with holding_builder(folder) as builder:
        with pytest.raises(BackendUnavailable, match=f"process {builder.pid} is building"):
            index.build(MANIFEST)
        assert found(index) == OLD
    assert builder.returncode == 0
    assert found(index) == NEW


def test_the_lock_of_a_killed_builder_is_free(folder: Path, index: EdgeVectorIndex) -> None:
    with holding_builder(folder) as builder:
        builder.kill()
    assert index.build(MANIFEST).dirty()


def test_opening_a_version_leaves_its_files_as_they_are(
    folder: Path, index: EdgeVectorIndex
) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    before = contents()
    for _ in range(2):
        reader = EdgeVectorIndex(folder)
        assert found(reader) == OLD
        reader.close()
    del reader
    assert contents() == before


def test_a_version_deleted_while_it_is_opened_is_not_what_is_answered_from(
    folder: Path, index: EdgeVectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    overtaken: list[Path] = []

    def slowly(path: Path) -> EdgeVersion:
        if not overtaken:
            overtaken.append(path)
            publish(index, embedded(entry("x")))
            publish(index, embedded(entry("y")))
            assert not path.exists()
        return open_version(path)

    reader = EdgeVectorIndex(folder)
    monkeypatch.setattr(qdrant_edge, "open_version", slowly)
    assert found(reader) == OLD | {"Text of x", "Text of y"}
    assert overtaken
    reader.close()


def test_a_search_that_began_ends_on_the_version_it_began_with(
    folder: Path, index: EdgeVectorIndex
) -> None:
    version = index._current()
    for name in ("x", "y"):
        publish(index, embedded(entry(name)))
    assert not (folder / version.name).exists()
    [hits] = version.search([dense(limit=199)], where=EVERYTHING)
    held = version.chunks(list({hit.sentence.chunk for hit in hits}))
    assert {chunk.text for chunk in held.values()} == OLD


def test_versions_that_were_replaced_are_closed(folder: Path, index: EdgeVectorIndex) -> None:
    if not Path("/proc/self/maps").exists():
        pytest.skip("needs /proc")
    for number in range(3):
        publish(index, embedded(entry(f"m{number}")))
        found(index)
    maps = Path("/proc/self/maps").read_text()
    mapped = set(re.findall(re.escape(str(folder)) + r"/(gen-\d+)", maps))
    assert mapped == {index.version()}


@pytest.mark.parametrize(
    "damage", ["gone", "emptied", "no manifest", "no statistics", "no segment file"]
)
def test_a_damaged_version_is_one_line_and_a_fresh_build_recovers(
    folder: Path, index: EdgeVectorIndex, damage: str
) -> None:
    version = folder / index.version()
    index.close()
    match damage:
        case "gone":
            Generations(folder).delete(version)
        case "emptied":
            Generations(folder).delete(version)
            version.mkdir()
        case "no manifest":
            (version / "manifest.json").unlink()
        case "no statistics":
            (version / "statistics.npz").unlink()
        case _:
            next(version.rglob("segment.json")).write_text("{")
    for attempt in (index.manifest, index.count, lambda: index.build(MANIFEST)):
        with pytest.raises(BackendUnavailable, match="--no-cache") as raised:
            attempt()
        assert "\n" not in str(raised.value)
    build = index.build(MANIFEST, fresh=True)
    build.put([embedded(entry())])
    build.publish()
    assert found(index) == {"Text of a"}


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    index = EdgeVectorIndex(tmp_path / "file" / "index")
    with pytest.raises(BackendUnavailable, match="cannot write the index in"):
        index.build(MANIFEST)


def test_an_index_deleted_and_made_anew_is_read_anew(folder: Path, index: EdgeVectorIndex) -> None:
    Generations(folder.parent).delete(folder)
    assert index.count() == 0
    publish(EdgeVectorIndex(folder), embedded(entry("x")))
    assert index.version() == "gen-1"
    assert found(index) == {"Text of x"}


def test_copies_keep_contents_and_holes(tmp_path: Path) -> None:
    source = tmp_path / "a"
    (source / "inner").mkdir(parents=True)
    (source / "empty").touch()
    with (source / "inner" / "sparse").open("wb") as file:
        file.write(b"start")
        file.seek(32 << 20)
        file.write(b"end")
        file.truncate(64 << 20)
    copy_tree(source, tmp_path / "b")
    copy = tmp_path / "b" / "inner" / "sparse"
    assert copy.read_bytes() == (source / "inner" / "sparse").read_bytes()
    assert (tmp_path / "b" / "empty").read_bytes() == b""
    assert copy.stat().st_blocks <= (source / "inner" / "sparse").stat().st_blocks
