"""Turns written without an end: `python -m … FILE POINT`; says the number of each that is kept.

POINT is `never`, or the beginning of a statement that kills with SIGKILL instead of being executed:
every fourth turn forgets what an earlier one said, so that the log is emptied too.
"""

import os
import signal
import sqlite3
import sys
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from llm_engineering.domain.conversations import Conversation, ConversationTurn
from llm_engineering.infrastructure.sqlite_conversations import SqliteConversationStore

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEY, LIMIT = "c", 60
"""Turns of one conversation, which is then begun anew."""
SAFE = 6
"""Turns that are kept before POINT counts."""


class Doomed(sqlite3.Connection):
    """Whose statements are looked at before they are executed."""

    fatal = ""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.set_trace_callback(self.die)

    def die(self, statement: str) -> None:
        if self.fatal and statement.startswith(self.fatal):
            os.kill(os.getpid(), signal.SIGKILL)


def turn(number: int) -> ConversationTurn:
    return ConversationTurn(role="user", text=f"turn {number} " + "filler " * 300, at=NOW)


def following(seen: Conversation, number: int) -> Conversation:
    turns = seen.turns if len(seen.turns) < LIMIT else ()
    if number % 4 == 0 and len(turns) > 1:
        gone = turns[-2].model_copy(update={"text": "[forgotten]"})
        turns = (*turns[:-2], gone, turns[-1])
    return seen.model_copy(update={"turns": (*turns, turn(number))})


def main() -> None:
    path, point = Path(sys.argv[1]), sys.argv[2]
    sqlite3.connect = partial(sqlite3.connect, factory=Doomed)  # type: ignore[assignment]
    store = SqliteConversationStore(path)
    if not store.of(""):
        store.add(Conversation(id=KEY, owner="", created_at=NOW, updated_at=NOW))
    seen = store.get(KEY, owner="")
    first = int(seen.turns[-1].text.split()[1]) + 1 if seen.turns else 0
    for number in count(first):
        if number == first + SAFE and point != "never":
            Doomed.fatal = point
        now = following(seen, number)
        store.replace(now, seen=seen)
        seen = now
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
