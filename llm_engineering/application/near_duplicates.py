"""Near-duplicate chunks: MinHash finds the candidates, exact Jaccard similarity decides.

Shingles are runs of five words, case and punctuation folded. Candidates share one of sixteen
bands of four 32-bit minima (Broder 1997; Leskovec, Rajaraman and Ullman, Mining of Massive
Datasets, ch. 3): two texts of similarity 0.85 meet with probability above 0.9999.

Does not know: where chunks are kept, which document came first.
"""

import base64
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.85
"""Jaccard similarity from which a text is a near-duplicate."""

_WORDS_PER_SHINGLE = 5
_BANDS, _ROWS = 16, 4
_WORD = re.compile(r"\w+")

Shingles = frozenset[bytes]


def shingles(text: str) -> Shingles:
    """Runs of five words; a shorter text is one run; {} when there is no word at all."""
    words = [word.encode("utf-8", "surrogatepass") for word in _WORD.findall(text.casefold())]
    last = max(len(words) - _WORDS_PER_SHINGLE, 0)
    return frozenset(
        b" ".join(words[at : at + _WORDS_PER_SHINGLE]) for at in range(last + 1) if words
    )


def signature(text: str) -> str:
    """MinHash of the text's shingles: 64 32-bit minima, base64; '' when there is no word."""
    found = shingles(text)
    if not found:
        return ""
    hashes = np.fromiter(map(crc32, found), dtype=np.uint64, count=len(found))
    factors, offsets = _hash_functions()
    minima = (factors[:, None] * hashes[None, :] + offsets[:, None]).min(axis=1) >> np.uint64(32)
    return base64.b64encode(minima.astype("<u4").tobytes()).decode()


def jaccard(one: Shingles, other: Shingles) -> float:
    """Shared part of the union, 0 to 1."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0


def link_duplicates(
    keys: Iterable[str], *, texts: Mapping[str, str], signatures: Mapping[str, str]
) -> dict[str, str]:
    """Map each near-duplicate to the key that stands for it.

    Keys come in order of precedence: a key stands for itself unless an earlier one that does is
    at least THRESHOLD similar. The result depends on the order and the texts alone, so it is the
    same however the corpus grew. Texts without a word are never duplicates.
    """
    buckets: dict[tuple[int, bytes], list[str]] = defaultdict(list)
    found: dict[str, str] = {}
    for key in keys:
        bands = _bands(signatures[key])
        candidates = dict.fromkeys(other for band in bands for other in buckets[band])
        mine = shingles(texts[key]) if candidates else frozenset()
        match = next(
            (c for c in candidates if jaccard(mine, shingles(texts[c])) >= THRESHOLD), None
        )
        if match is not None:
            found[key] = match
            continue
        for band in bands:
            buckets[band].append(key)
    return found


def _bands(encoded: str) -> list[tuple[int, bytes]]:
    raw = base64.b64decode(encoded)
    width = _ROWS * 4
    return [(band, raw[band * width : (band + 1) * width]) for band in range(_BANDS) if raw]


@cache
def _hash_functions() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Multiply-shift hashing (Dietzfelbinger 1996): odd factor, offset, upper half of 64 bits."""
    rng = np.random.default_rng(20260101)
    factors, offsets = rng.integers(0, 1 << 64, (2, _BANDS * _ROWS), dtype=np.uint64)
    return factors | np.uint64(1), offsets
