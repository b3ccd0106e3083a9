"""What every store of conversations keeps: the port's docstrings, sentence by sentence."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llm_engineering.domain.conversations import Conversation, ConversationTurn
from llm_engineering.domain.errors import Conflict, NotFound
from llm_engineering.infrastructure.memory_conversations import MemoryConversationStore
from llm_engineering.infrastructure.sqlite_conversations import SqliteConversationStore
from llm_engineering.ports.stores import ConversationStore

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
Opener = Callable[[], ConversationStore]


def kept(name: str = "a", *, owner: str = "ada", minutes: int = 0) -> Conversation:
    at = NOW + timedelta(minutes=minutes)
    return Conversation(id=name, owner=owner, created_at=NOW, updated_at=at)


def said(conversation: Conversation, text: str) -> Conversation:
    turn = ConversationTurn(role="user", text=text, at=NOW)
    return conversation.model_copy(update={"turns": (*conversation.turns, turn)})


@pytest.fixture(params=("memory", "sqlite"))
def reopened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same conversations once more, as another process would."""
    memory = MemoryConversationStore()
    opened: list[ConversationStore] = []

    def opener() -> ConversationStore:
        sqlite = request.param == "sqlite"
        path = tmp_path / "home" / "conversations.db"
        opened.append(SqliteConversationStore(path) if sqlite else memory)
        return opened[-1]

    yield opener
    for store in opened:
        store.close()
        store.close()


def test_a_conversation_comes_back_whole_to_its_owner_alone(reopened: Opener) -> None:
    with pytest.raises(NotFound):
        reopened().get("a", owner="ada")
    reopened().add(said(kept(), "What’s “it”?\u2028"))

    assert reopened().get("a", owner="ada") == said(kept(), "What’s “it”?\u2028")
    for owner in ("bob", ""):
        with pytest.raises(NotFound):
            reopened().get("a", owner=owner)
        with pytest.raises(NotFound):
            reopened().remove("a", owner=owner)


def test_an_owners_are_listed_those_used_last_first(reopened: Opener) -> None:
    for each in (kept("a"), kept("b", minutes=2), kept("c", owner="bob"), kept("d", minutes=1)):
        reopened().add(each)

    assert [each.id for each in reopened().of("ada")] == ["b", "d", "a"]
    assert [each.id for each in reopened().all()] == ["a", "b", "c", "d"]


def test_what_was_removed_is_gone_and_stays_gone(reopened: Opener) -> None:
    reopened().add(kept())
    reopened().remove("a", owner="ada")

    with pytest.raises(NotFound):
        reopened().replace(said(kept(), "x"), seen=kept())
    assert reopened().of("ada") == ()


def test_of_turns_at_once_one_is_kept_and_the_others_are_told(reopened: Opener) -> None:
    reopened().add(kept())
    store = reopened()

    def turn(number: int) -> bool:
        try:
            store.replace(said(kept(), str(number)), seen=kept())
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(turn, range(8)))

    assert done.count(True) == 1
    assert [t.text for t in store.get("a", owner="ada").turns] == [str(done.index(True))]


def test_removed_words_are_not_left_in_the_file(tmp_path: Path) -> None:
    store = SqliteConversationStore(tmp_path / "c.db")
    store.add(said(kept(), "xyzzy-secret"))
    store.remove("a", owner="ada")
    store.close()

    assert not [p for p in tmp_path.iterdir() if b"xyzzy-secret" in p.read_bytes()]
