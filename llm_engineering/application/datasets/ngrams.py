"""Runs of eight words, and which share of a text's runs stands in other texts as well.

Case and punctuation are folded, as for near-duplicates. A run is a 64-bit hash of its words: among
ten million of them a false match has a chance below one in a million.
"""

import hashlib
import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

WORDS = 8

Runs = NDArray[np.uint64]

_WORD = re.compile(r"\w+")
_NONE: Runs = np.empty(0, dtype=np.uint64)
_FACTORS = np.random.default_rng(8).integers(0, 1 << 64, WORDS, dtype=np.uint64) | np.uint64(1)


class KnownRuns:
    """The runs of some texts."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._words: dict[str, int] = {}
        self._known = np.unique(np.concatenate([_NONE, *map(self._runs, texts)]))

    def with_texts(self, texts: Iterable[str]) -> "KnownRuns":
        """Those of more texts as well."""
        more = KnownRuns(texts)
        more._known = np.union1d(self._known, more._known)
        return more

    def share(self, text: str) -> float:
        """Part of the text's distinct runs that are known, 0 to 1; 0 for under eight words."""
        runs = np.unique(self._runs(text))
        if not len(runs) or not len(self._known):
            return 0.0
        at = np.minimum(np.searchsorted(self._known, runs), len(self._known) - 1)
        return float(np.mean(self._known[at] == runs))

    def _runs(self, text: str) -> Runs:
        hashes = [self._hash(word) for word in _WORD.findall(text.casefold())]
        if len(hashes) < WORDS:
            return _NONE
        windows = np.lib.stride_tricks.sliding_window_view(np.array(hashes, dtype=np.uint64), WORDS)
        runs: Runs = (windows * _FACTORS).sum(axis=1, dtype=np.uint64)
        return runs

    def _hash(self, word: str) -> int:
        found = self._words.get(word)
        if found is None:
            digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            found = self._words[word] = int.from_bytes(digest)
        return found
