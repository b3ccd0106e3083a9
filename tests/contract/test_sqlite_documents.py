"""What the SQLite store promises beyond the port: files, processes, damage."""

import os
import random
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from llm_engineering.domain.documents import DocumentFilter, DocumentKind
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure import sqlite_file
from llm_engineering.infrastructure.sqlite import MIGRATIONS, SqliteDocumentStore
from llm_engineering.infrastructure.sqlite_file import SqliteFile
from llm_engineering.infrastructure.sqlite_rows import condition_of
from tests.contract.document_stores import LATER, note

WRITER = """
import sys
from pathlib import Path
from llm_engineering.infrastructure.sqlite import SqliteDocumentStore
from tests.contract.document_stores import note
store = SqliteDocumentStore(Path(sys.argv[1]))
for turn in range(int(sys.argv[3])):
    store.put([note(f"{sys.argv[2]}/{turn}/{n}", text="x" * 5_000) for n in range(20)])
    print(turn, flush=True)
"""


def _writer(path: Path, name: str, turns: int) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", WRITER, str(path), name, str(turns)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def _open_descriptors(path: Path) -> int:
    links = list(Path("/proc/self/fd").iterdir())
    return sum(os.path.realpath(link).startswith(str(path)) for link in links)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "documents.db"


def _one_line(error: BackendUnavailable, path: Path) -> str:
    message = str(error)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_making_and_reading_a_store_makes_no_file(path: Path) -> None:
    store = SqliteDocumentStore(path)
    assert not list(store.find())
    assert not list(store.heads())
    assert store.get_many(["a"]) == {}
    assert store.revisions("a") == ()
    assert store.remove(["a"], at=LATER) == 0
    store.put([])
    store.close()
    assert not path.parent.exists()


def test_several_processes_fill_one_new_file(path: Path) -> None:
    writers = [_writer(path, str(number), 5) for number in range(4)]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    assert len(list(SqliteDocumentStore(path).find())) == 4 * 5 * 20


def test_a_killed_process_loses_at_most_its_last_put(path: Path) -> None:
    for attempt, finished in enumerate((1, 2, 5)):
        writer = _writer(path, str(attempt), 10_000)
        assert writer.stdout is not None
        for _ in range(finished):
            last = int(writer.stdout.readline())
        writer.kill()
        rest, _ = writer.communicate()
        last = max([last, *map(int, rest.split())])
        counts = [0] * (last + 2)
        for head in SqliteDocumentStore(path).heads():
            run, turn, _ = head.url.rsplit("/", 3)[1:]
            if run == str(attempt):
                counts[int(turn)] += 1
        assert counts[:-1] == [20] * (last + 1)
        assert counts[-1] in (0, 20)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_put_that_fails_midway_leaves_nothing(path: Path) -> None:
    store = SqliteDocumentStore(path)
    store.put([note("a")])
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TRIGGER stop BEFORE INSERT ON tags WHEN new.tag = 'bad'"
            " BEGIN SELECT raise(ABORT, 'no'); END"
        )
    connection.close()
    with pytest.raises(BackendUnavailable):
        store.put([note("a", text="new"), note("b", tags=("bad",))])
    assert list(store.find()) == [note("a")]
    assert store.revisions(note("a").id) == (note("a"),)


def test_heads_are_listed_without_the_texts(path: Path) -> None:
    store = SqliteDocumentStore(path)
    store.put([note("a", tags=("t",))])
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE texts")
    connection.close()
    assert [head.url for head in store.heads(DocumentFilter(tags=("t",)))] == [note("a").url]


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (DocumentFilter(authors=("Ada",)), "documents_by_author"),
        (DocumentFilter(sources=("s",)), "documents_by_source"),
        (DocumentFilter(kinds=(DocumentKind.NOTE,)), "documents_by_kind"),
        (DocumentFilter(languages=("en",)), "documents_by_language"),
        (DocumentFilter(tags=("t",)), "PRIMARY KEY (tag=?)"),
        (DocumentFilter(published_from=LATER), "documents_by_date"),
    ],
)
def test_each_filter_has_its_index(path: Path, where: DocumentFilter, index: str) -> None:
    SqliteDocumentStore(path).put([note()])
    condition, values, exact = condition_of(where)
    connection = sqlite3.connect(path)
    plan = connection.execute(
        f"EXPLAIN QUERY PLAN SELECT * FROM documents WHERE {condition}", values
    ).fetchall()
    connection.close()
    assert exact
    assert index in " ".join(row[3] for row in plan).replace("tags USING ", "")


def test_the_connection_of_a_thread_that_ended_is_closed(path: Path) -> None:
    store = SqliteDocumentStore(path)
    store.put([note()])
    for _ in range(20):
        thread = Thread(target=lambda: list(store.heads()))
        thread.start()
        thread.join()
    # Of this thread: database, log, shared memory; SQLite keeps a spare one of the database.
    assert _open_descriptors(path) <= 4
    store.close()
    assert _open_descriptors(path) == 0


def test_closing_releases_the_connections_of_every_thread(path: Path) -> None:
    store = SqliteDocumentStore(path)
    thread = Thread(target=lambda: store.put([note()]))
    thread.start()
    thread.join()
    list(store.heads())
    store.close()
    assert _open_descriptors(path) == 0


def test_a_file_deleted_under_an_open_store_is_made_anew(path: Path) -> None:
    store = SqliteDocumentStore(path)
    store.put([note("a")])
    for file in path.parent.iterdir():
        file.unlink()
    assert not list(store.heads())
    store.put([note("b")])
    assert list(SqliteDocumentStore(path).find()) == [note("b")]


@pytest.mark.parametrize("content", [b"no database" * 9, b"SQLite format 3\0" + b"\1" * 5_000])
def test_a_file_of_something_else_is_named(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    for call in (lambda s: s.put([note()]), lambda s: list(s.heads()), lambda s: s.get("a")):
        with pytest.raises(BackendUnavailable) as caught:
            call(SqliteDocumentStore(path))
        assert "damaged" in _one_line(caught.value, path)
    assert path.read_bytes() == content


def test_damage_anywhere_in_the_file_is_told_in_one_line(path: Path) -> None:
    store = SqliteDocumentStore(path)
    store.put([note(str(n), text="é" * 3_000, tags=(f"t{n}",)) for n in range(60)])
    store.put([note(str(n), text="new") for n in range(60)])
    store.close()
    whole = path.read_bytes()
    rng = random.Random(7)
    told = 0
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(200):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        path.write_bytes(broken)
        store = SqliteDocumentStore(path)
        try:
            store.put([note("0", text="newer"), note("new")])
            list(store.find())
            store.revisions(note("1").id)
        except BackendUnavailable as error:
            _one_line(error, path)
            told += 1
        store.close()
        for file in path.parent.glob("documents.db-*"):
            file.unlink()
    assert told


@pytest.mark.parametrize("where", ["home", "home/documents.db"])
def test_a_folder_that_is_a_file_or_the_reverse_is_named(tmp_path: Path, where: str) -> None:
    path = tmp_path / "home" / "documents.db"
    if where == "home":
        path.parent.write_text("")
    else:
        path.mkdir(parents=True)
    for call in (lambda s: s.put([note()]), lambda s: list(s.find()), lambda s: s.revisions("a")):
        with pytest.raises(BackendUnavailable, match="TWIN_HOME must be a folder") as caught:
            call(SqliteDocumentStore(path))
        _one_line(caught.value, path)


def test_a_folder_that_may_not_be_written_is_named(path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="TWIN_HOME must be a folder"):
        SqliteDocumentStore(Path("/proc/twin/documents.db")).put([note()])


def test_a_full_disk_is_told_and_loses_nothing(path: Path) -> None:
    store = SqliteDocumentStore(path)
    store.put([note("a")])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(BackendUnavailable, match="free some space") as caught:
            store.put([note(str(n), text="x" * 5_000) for n in range(200)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    _one_line(caught.value, path)
    assert list(store.find()) == [note("a")]
    store.put([note("b")])
    assert len(list(store.find())) == 2


def test_a_file_locked_for_too_long_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteDocumentStore(path).put([note("a")])
    monkeypatch.setattr(sqlite_file, "BUSY_S", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store = SqliteDocumentStore(path)
    with pytest.raises(BackendUnavailable, match="another process keeps it locked"):
        store.put([note("b")])
    assert list(store.find()) == [note("a")]
    other.close()
    store.put([note("b")])


def test_a_store_of_a_newer_version_is_refused_untouched(path: Path) -> None:
    SqliteDocumentStore(path).put([note("a")])
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(BackendUnavailable, match="schema version 2, this llm-twin knows up to 1"):
        list(SqliteDocumentStore(path).heads())
    with pytest.raises(BackendUnavailable, match="schema version 2"):
        SqliteDocumentStore(path).put([note("b")])


def test_the_database_of_another_program_is_refused_untouched(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE documents (a)")
    connection.close()
    with pytest.raises(BackendUnavailable, match="database of another program"):
        SqliteDocumentStore(path).put([note()])


def test_an_older_file_is_brought_up_to_date_with_its_content(path: Path) -> None:
    path.parent.mkdir()
    first = (("CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES ('kept')"),)
    second = (*first, ("ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 7",))
    broken = (*second, ("ALTER TABLE t ADD COLUMN c", "ALTER TABLE nowhere ADD COLUMN d"))
    for migrations, wanted in ((first, ("kept",)), (second, ("kept", 7))):
        file = SqliteFile(path, migrations=migrations)
        with file.writing() as connection:
            assert connection.execute("SELECT * FROM t").fetchall() == [wanted]
        file.close()
    with pytest.raises(BackendUnavailable), SqliteFile(path, migrations=broken).writing():
        pass
    file = SqliteFile(path, migrations=second)
    with file.writing() as connection:
        assert connection.execute("SELECT * FROM t").fetchall() == [("kept", 7)]
    file.close()
