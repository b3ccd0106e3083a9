"""What was taken away is in none of the bytes on disk, while other processes have the file open."""

import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.chat import Message, Role
from llm_engineering.domain.conversations import Conversation, ConversationTurn
from llm_engineering.domain.feedback import Feedback
from llm_engineering.infrastructure import sqlite_file
from llm_engineering.infrastructure.sqlite import SqliteDocumentStore
from llm_engineering.infrastructure.sqlite_conversations import SqliteConversationStore
from llm_engineering.infrastructure.sqlite_feedback import SqliteFeedbackStore
from tests.contract.document_stores import note
from tests.contract.indexed_chunks import MANIFEST, embedded, entry, found, publish
from tests.contract.vector_indexes import edge_indexes

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SECRET = "xyzzy-secret"


class Careless(sqlite3.Connection):
    """As SQLite is built in most places, where deleting overwrites nothing."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.execute("PRAGMA secure_delete = OFF")


@pytest.fixture(autouse=True)
def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Careless))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept.db"


@pytest.fixture
def other(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process that has the file open, and reads it now and then."""
    with sqlite3.connect(path) as connection:
        yield connection
    connection.close()


def bytes_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def turn(text: str) -> ConversationTurn:
    return ConversationTurn(role="user", text=text, at=NOW)


def talk(key: str, *texts: str) -> Conversation:
    turns = tuple(map(turn, texts))
    return Conversation(id=key, owner="", created_at=NOW, updated_at=NOW, turns=turns)


def opinion(key: str, text: str) -> Feedback:
    prompt = (Message(role=Role.USER, content=text),)
    return Feedback(id=key, prompt=prompt, served="s", model="m", created_at=NOW)


@pytest.fixture
def conversations(path: Path) -> Iterator[SqliteConversationStore]:
    """With enough around the secret that pages are split, freed and used again."""
    store = SqliteConversationStore(path)
    for number in range(40):
        store.add(talk(f"{number:02}", *(["filler " * number] * number)))
    yield store
    store.close()


@pytest.fixture
def feedback(path: Path) -> Iterator[SqliteFeedbackStore]:
    store = SqliteFeedbackStore(path)
    store.put([opinion(f"{number:02}", "filler " * 50 * number) for number in range(40)])
    yield store
    store.close()


def read(other: sqlite3.Connection, table: str) -> None:
    other.execute(f"SELECT count(*) FROM {table}").fetchall()


@pytest.mark.parametrize("length", [1, 400, 5_000])
def test_a_removed_conversation_is_in_no_file(
    conversations: SqliteConversationStore, path: Path, other: sqlite3.Connection, length: int
) -> None:
    seen = talk("05x", "What I say: " + SECRET * length)
    conversations.add(seen)
    more = seen.model_copy(update={"turns": (*seen.turns, turn("filler " * 900))})
    conversations.replace(more, seen=seen)
    read(other, "conversations")
    assert SECRET.encode() in bytes_below(path.parent)
    conversations.remove("05x", owner="")

    assert SECRET.encode() not in bytes_below(path.parent)


@pytest.mark.parametrize("length", [1, 400, 5_000])
def test_what_is_taken_out_of_a_conversation_is_in_no_file(
    conversations: SqliteConversationStore, path: Path, other: sqlite3.Connection, length: int
) -> None:
    seen = talk("05x", "before", SECRET * length, "after")
    conversations.add(seen)
    read(other, "conversations")
    conversations.replace(talk("05x", "before", "[forgotten]", "after", "more"), seen=seen)

    assert SECRET.encode() not in bytes_below(path.parent)


@pytest.mark.parametrize("length", [1, 400, 5_000])
def test_replaced_and_removed_feedback_is_in_no_file(
    feedback: SqliteFeedbackStore, path: Path, other: sqlite3.Connection, length: int
) -> None:
    feedback.put([opinion("05x", SECRET * length), opinion("06x", SECRET * length)])
    read(other, "feedback")
    feedback.put([opinion("05x", "something else")])
    assert SECRET.encode() in bytes_below(path.parent)
    feedback.put([opinion("06x", "something else")])
    replaced = bytes_below(path.parent)
    feedback.put([opinion("07x", SECRET * length)])
    feedback.remove(["07x"])

    assert SECRET.encode() not in replaced
    assert SECRET.encode() not in bytes_below(path.parent)


def test_who_reads_holds_it_off_for_a_while_and_the_next_turn_makes_up_for_it(
    conversations: SqliteConversationStore,
    path: Path,
    other: sqlite3.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sqlite_file, "FORGET_S", 0.05)
    conversations.add(talk("05x", SECRET))
    other.execute("BEGIN")
    read(other, "conversations")
    conversations.remove("05x", owner="")
    held = bytes_below(path.parent)
    conversations.add(talk("later"))
    held_still = bytes_below(path.parent)
    other.execute("COMMIT")
    conversations.add(talk("after that"))

    assert SECRET.encode() in held
    assert SECRET.encode() in held_still
    assert SECRET.encode() not in bytes_below(path.parent)


def test_a_turn_that_only_adds_does_not_wait_for_who_reads(
    conversations: SqliteConversationStore,
    other: sqlite3.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It empties no log, which takes twice as long as the turn itself."""
    monkeypatch.setattr(sqlite_file, "FORGET_S", float("inf"))
    seen = talk("05x", "first")
    conversations.add(seen)
    other.execute("BEGIN")
    read(other, "conversations")
    now = talk("05x", "first", "second").model_copy(update={"summary": "s", "summarised": 1})
    conversations.replace(now, seen=seen)  # else it would never return

    assert conversations.get("05x", owner="") == now


@pytest.mark.parametrize("length", [1, 400, 5_000])
def test_an_erased_document_and_its_past_are_in_no_file(
    path: Path, other: sqlite3.Connection, length: int
) -> None:
    store = SqliteDocumentStore(path)
    store.put([note(str(number), text="filler " * 90 * number) for number in range(20)])
    for text in (SECRET * length, "now without it"):
        store.put([note("05x", text=text, title=SECRET, tags=(SECRET,))])
    read(other, "documents")
    assert SECRET.encode() in bytes_below(path.parent)
    store.remove([note("05x").id], at=NOW)
    store.erase([note("05x").id], at=NOW)

    assert SECRET.encode() not in bytes_below(path.parent)
    store.close()


@pytest.mark.parametrize("runs", [0, 1])
def test_what_an_index_in_a_folder_forgets_is_in_none_of_its_bytes(
    tmp_path: Path, runs: int
) -> None:
    gone, stays = (embedded(entry(name)) for name in ("xyzzyqwv", "plughmnt"))
    with edge_indexes(tmp_path) as opener:
        index = opener()
        publish(index, gone, stays)
        for _ in range(runs):  # that remove it as a run over the documents does
            build = index.build(MANIFEST)
            build.remove([gone.entry.chunk.id])
            build.publish()
        assert b"xyzzyq" in bytes_below(tmp_path)
        build = index.build(MANIFEST)
        build.remove([gone.entry.chunk.id])
        build.publish(forget=True)

        assert found(index) == {"Text of plughmnt"}
        assert b"plughm" in bytes_below(tmp_path)  # the engine packs the rest
        assert b"xyzzyq" not in bytes_below(tmp_path)


def test_an_index_that_was_never_published_holds_nothing_of_what_is_discarded(
    tmp_path: Path,
) -> None:
    """Killed while it wrote its first version: there is a draft beside what was staged."""
    gone = embedded(entry("xyzzyqwv"))
    with edge_indexes(tmp_path) as opener:
        build = opener().build(MANIFEST)
        build.put([gone])
        folder = tmp_path / "home" / "index"
        left = tmp_path / "left"
        shutil.copytree(folder, left)
        build.discard()
        shutil.copytree(left, folder, dirs_exist_ok=True)
        shutil.rmtree(left)
        assert b"xyzzyq" in bytes_below(folder / "building")
        assert b"xyzzyq" in bytes_below(folder / "gen-1.partial")
        again = opener().interrupted()
        assert again is not None
        again.discard()

    assert b"xyzzyq" not in bytes_below(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"no database"])
def test_what_was_staged_and_cannot_be_read_is_deleted(tmp_path: Path, damage: bytes) -> None:
    with edge_indexes(tmp_path) as opener:
        build = opener().build(MANIFEST)
        build.put([embedded(entry("xyzzyqwv"))])
        build.release()
        staged = tmp_path / "home" / "index" / "building"
        (staged / "changes.db").write_bytes(damage + b"xyzzyq")
        assert opener().interrupted() is None

    assert not staged.exists()
