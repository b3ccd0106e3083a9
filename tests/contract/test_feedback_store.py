"""What every feedback store keeps: the port's docstrings, sentence by sentence."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from llm_engineering.domain.chat import Message, Role
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.feedback import Feedback
from llm_engineering.infrastructure.memory_samples import MemoryFeedbackStore
from llm_engineering.infrastructure.sqlite_feedback import SqliteFeedbackStore
from llm_engineering.ports.stores import FeedbackStore

NOW = datetime(2024, 5, 6, 7, 8, 9, 123_456, tzinfo=UTC)

Opener = Callable[[], FeedbackStore]


def opinion(name: str = "a", *, at: datetime = NOW, liked: bool | None = True) -> Feedback:
    return Feedback(
        id=name,
        prompt=(Message(role=Role.USER, content="What’s a “stack”?\u2028"),),
        served="A stack.",
        edit="It's a stack.",
        liked=liked,
        model="sft-1",
        document_ids=("d1", "d2"),
        created_at=at,
    )


@pytest.fixture(params=("memory", "sqlite"))
def reopened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same feedback once more, as another process would."""
    memory = MemoryFeedbackStore()
    opened: list[FeedbackStore] = []

    def opener() -> FeedbackStore:
        sqlite = request.param == "sqlite"
        opened.append(SqliteFeedbackStore(tmp_path / "home" / "feedback.db") if sqlite else memory)
        return opened[-1]

    yield opener
    for store in opened:
        store.close()
        store.close()


def test_feedback_comes_back_whole(reopened: Opener) -> None:
    reopened().put([opinion()])

    assert list(reopened().find()) == [opinion()]


def test_an_empty_store_holds_nothing(reopened: Opener) -> None:
    reopened().put([])

    assert list(reopened().find()) == []


def test_a_reader_may_change_their_mind(reopened: Opener) -> None:
    reopened().put([opinion(liked=True)])
    reopened().put([opinion(liked=False)])

    assert [each.liked for each in reopened().find()] == [False]


def test_the_oldest_comes_first_in_whatever_time_zone(reopened: Opener) -> None:
    east = NOW.astimezone(timezone(timedelta(hours=9))) - timedelta(minutes=1)
    whole = NOW.replace(microsecond=0) + timedelta(seconds=1)
    reopened().put([opinion("d", at=whole), opinion("c"), opinion("b"), opinion("a", at=east)])

    assert [each.id for each in reopened().find()] == ["a", "b", "c", "d"]


def test_threads_may_write_at_once(reopened: Opener) -> None:
    store = reopened()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.put([opinion(str(number))]), range(40)))

    assert len(list(reopened().find())) == 40


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    store = SqliteFeedbackStore(tmp_path / "feedback.db")
    store.put([opinion()])
    with store._file.writing() as connection:
        connection.execute("UPDATE feedback SET value = '{}'")

    with pytest.raises(BackendUnavailable, match=r"feedback\.db: feedback 'a' cannot be read"):
        list(store.find())
    store.close()


def test_what_is_removed_is_gone(reopened: Opener) -> None:
    assert reopened().remove(["a"]) == 0
    reopened().put([opinion("a"), opinion("b")])

    assert reopened().remove(["a", "a", "unknown"]) == 1
    assert [each.id for each in reopened().find()] == ["b"]


def test_a_row_from_before_the_answer_was_named_is_read(tmp_path: Path) -> None:
    store = SqliteFeedbackStore(tmp_path / "feedback.db")
    store.put([opinion()])
    later = ("by_author", "passages", "answer_id", "adapter_hash", "owner", "conversation")
    with sqlite3.connect(tmp_path / "feedback.db") as connection:
        old = opinion().model_dump_json(exclude=set(later))
        connection.execute("UPDATE feedback SET value = ?", [old])
    connection.close()

    assert list(store.find()) == [opinion()]
    store.close()
