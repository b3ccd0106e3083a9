"""Vectors from hashed words: no model, the same on every machine. For tests.

Texts that share words are near each other; meaning is not known. After Weinberger et al.,
"Feature Hashing for Large Scale Multitask Learning" (2009).
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

_TOKEN = re.compile(r"\w+|[^\w\s]")


class HashEmbedder:
    """Embedder port in which every token adds 1 or -1 at the place that its hash names."""

    def __init__(self, *, dimension: int) -> None:
        self._dimension = dimension

    @property
    def name(self) -> str:
        return f"hash-{self._dimension}"

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def window(self) -> int:
        return 254

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """A token is a word or one mark."""
        return [[match.span() for match in _TOKEN.finditer(text)] for text in texts]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As the port says; what lies past the window is not read."""
        vectors = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for token in _TOKEN.findall(text)[: self.window]:
                place, sign = _hashed(token.casefold())
                vector[place % self._dimension] += sign
            if not vector.any():
                vector[0] = 1.0
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


@lru_cache(maxsize=100_000)
def _hashed(token: str) -> tuple[int, int]:
    digest = blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest[:7], "big"), 1 if digest[7] % 2 else -1
