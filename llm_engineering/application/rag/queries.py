"""Vectors of queries that were asked before: the same question twice is encoded once."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from llm_engineering.domain.vectors import Floats
from llm_engineering.ports.models import Embedder


class QueryCache:
    """The latest queries' vectors by embedder and text. Safe to use from threads."""

    def __init__(self, size: int = 1_024) -> None:
        self._size = size
        self._lock = Lock()
        self._held: OrderedDict[tuple[str, str], Floats] = OrderedDict()

    def vectors(self, texts: Sequence[str], embedder: Embedder) -> list[Floats]:
        """One unit vector per text; those that are not held are encoded in one batch."""
        keys = [(embedder.name, text) for text in texts]
        with self._lock:
            held = {key: self._held[key] for key in keys if key in self._held}
        missing = [key for key in dict.fromkeys(keys) if key not in held]
        if missing:
            held |= zip(missing, embedder.embed([text for _, text in missing]), strict=True)
        with self._lock:
            for key in keys:
                self._held[key] = held[key]
                self._held.move_to_end(key)
            while len(self._held) > self._size:
                self._held.popitem(last=False)
        return [held[key] for key in keys]
