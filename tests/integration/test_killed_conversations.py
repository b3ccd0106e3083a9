"""kill -9 of a process that writes a conversation: at most the turn under way is lost."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm_engineering.domain.conversations import Conversation
from llm_engineering.infrastructure.sqlite_conversations import SqliteConversationStore
from tests.integration.killed_conversations import KEY, NOW, following, turn


def writing(path: Path, point: str = "never") -> subprocess.Popen[str]:
    child = [sys.executable, "-m", "tests.integration.killed_conversations", str(path), point]
    return subprocess.Popen(child, stdout=subprocess.PIPE, text=True)


def killed(child: subprocess.Popen[str]) -> int:
    """The last turn that it said is kept."""
    said, _ = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    return int(said.split()[-1])


def kept(path: Path) -> Conversation:
    """As whoever opens the file next finds it."""
    store = SqliteConversationStore(path)
    found = store.get(KEY, owner="")
    store.close()
    return found


def whole(number: int) -> Conversation:
    """What a process holds that wrote every turn up to this one."""
    held = Conversation(id=KEY, owner="", created_at=NOW, updated_at=NOW)
    for each in range(number + 1):
        held = following(held, each)
    return held


@pytest.mark.parametrize("point", ["BEGIN", "UPDATE", "COMMIT", "PRAGMA wal_checkpoint"])
def test_killed_at_a_point_the_file_opens_with_every_turn_that_was_kept(
    tmp_path: Path, point: str
) -> None:
    path = tmp_path / "conversations.db"
    said = killed(writing(path, point))
    stored = int(point.startswith("PRAGMA"))  # only what is to be forgotten is still in the log

    assert kept(path) == whole(said + stored)


def test_killed_at_any_moment_again_and_again_it_goes_on_where_it_was(tmp_path: Path) -> None:
    path, rng = tmp_path / "conversations.db", random.Random(7)
    for _ in range(6):
        child = writing(path)
        assert child.stdout is not None
        assert child.stdout.readline()
        time.sleep(rng.random() / 10)
        child.kill()
        said = killed(child)
        number = int(kept(path).turns[-1].text.split()[1])

        assert number in (said, said + 1)
        assert kept(path) == whole(number)


def test_what_was_to_be_forgotten_when_it_was_killed_goes_with_the_next_turn(
    tmp_path: Path,
) -> None:
    path = tmp_path / "conversations.db"
    said = killed(writing(path, "PRAGMA wal_checkpoint"))
    gone = turn(said - 1).text.split("filler")[0].encode()
    store = SqliteConversationStore(path)
    seen = store.get(KEY, owner="")
    assert gone in on_disk(tmp_path)
    store.replace(following(seen, said + 2), seen=seen)
    left = on_disk(tmp_path)
    store.close()

    assert gone not in left


def on_disk(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in folder.iterdir())
