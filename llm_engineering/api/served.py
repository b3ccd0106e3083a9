"""What the server has answered lately, so that feedback can be kept with what it is about.

Bounded by number, bytes and age; gone when the server ends. Does not know: HTTP.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from threading import Lock

from llm_engineering.domain.chat import Answer
from llm_engineering.domain.errors import NotFound
from llm_engineering.domain.served import ServedAnswer

COUNT, BYTES, AGE_S = 2_000, 64_000_000, 24 * 3600.0


class ServedAnswers:
    """Safe to use from threads."""

    def __init__(
        self,
        *,
        count: int = COUNT,
        total_bytes: int = BYTES,
        age_s: float = AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count, self._bytes, self._age_s = count, total_bytes, age_s
        self._clock = clock
        self._lock = Lock()
        self._held: OrderedDict[str, tuple[float, int, ServedAnswer]] = OrderedDict()
        self._total = 0

    def keep(self, served: ServedAnswer) -> None:
        """The oldest make room for it; one that is too large for all of it is not kept."""
        size = _size(served)
        with self._lock:
            self._drop(served.answer.id)
            if size > self._bytes:
                return
            self._held[served.answer.id] = self._clock(), size, served
            self._total += size
            self._expire()
            while len(self._held) > self._count or self._total > self._bytes:
                self._drop(next(iter(self._held)))

    def get(self, answer_id: str) -> ServedAnswer:
        """Raises NotFound for one that was never served, or is forgotten."""
        with self._lock:
            self._expire()
            if answer_id not in self._held:
                raise NotFound(
                    f"no answer {answer_id[:80]!r} is remembered; answers of this server can be "
                    f"rated for {self._age_s / 3600:g} hours, the latest {self._count:,} of them"
                )
            return self._held[answer_id][2]

    def that_said(self, texts: Collection[str]) -> tuple[Answer, ...]:
        """Those whose text, without the white space around it, is one of these."""
        with self._lock:
            held = [served.answer for _, _, served in self._held.values()] if texts else []
        return tuple(answer for answer in held if answer.standing.strip() in texts)

    def drop(self, answer_id: str) -> None:
        """Forget one; one that is not held is passed over."""
        with self._lock:
            self._drop(answer_id)

    def forget(self, *, conversation: str) -> None:
        """Drop the answers of a conversation."""
        with self._lock:
            for key, (_, _, served) in list(self._held.items()):
                if served.conversation == conversation:
                    self._drop(key)

    def __len__(self) -> int:
        return len(self._held)

    def _expire(self) -> None:
        now = self._clock()
        while self._held and now - next(iter(self._held.values()))[0] > self._age_s:
            self._drop(next(iter(self._held)))

    def _drop(self, key: str) -> None:
        if (held := self._held.pop(key, None)) is not None:
            self._total -= held[1]


def _size(served: ServedAnswer) -> int:
    """Of its texts, about four bytes a character with what is around them."""
    answer = served.answer
    texts = [each.content for each in served.prompt] + [each.text for each in answer.passages]
    texts += [answer.text, answer.question, *(each.quote for each in answer.citations)]
    return 4 * sum(map(len, texts)) + 2_000
