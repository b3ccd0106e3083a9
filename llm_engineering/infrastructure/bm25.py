"""BM25 term weights for documents and queries.

Weight of a term in a text, without the IDF that the index multiplies in (Robertson and Zaragoza,
"The Probabilistic Relevance Framework", 2009, eq. 3.15):

    tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average length))

The average length is a constant per sentence, so that a new document never changes the weights of
another, and a window of several sentences is compared with windows of as many.

Every word is indexed by two forms, equal more often than not: its stem in the language of its
text, and its stem by the English rules, which stands for "language unknown". A query whose
language is not known looks for the second form alone, so each of its words has one term, English
text is stemmed as it should be, and a German text is still found by the words it shares.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import Stemmer

from llm_engineering.domain.vectors import SparseVector, TermCounts
from llm_engineering.infrastructure.stop_words import STOP_WORDS
from llm_engineering.infrastructure.words import read_word, words

K1 = 1.2
B = 0.75
RULES = 2
"""Grows with every change of what a text is indexed by."""

_ALGORITHMS = MappingProxyType(
    {
        "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german",
        "el": "greek", "en": "english", "eo": "esperanto", "es": "spanish", "et": "estonian",
        "eu": "basque", "fa": "persian", "fi": "finnish", "fr": "french", "ga": "irish",
        "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian",
        "lt": "lithuanian", "nb": "norwegian", "ne": "nepali", "nl": "dutch", "nn": "norwegian",
        "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian",
        "sr": "serbian", "st": "sesotho", "sv": "swedish", "ta": "tamil", "tr": "turkish",
        "yi": "yiddish",
    }
)  # fmt: skip
"""Snowball's name of a language by its ISO 639-1 code."""

_stemmers = threading.local()


class Bm25Encoder:
    """SparseEncoder port; safe to use from threads.

    An index is a 32-bit hash of its term: of 100,000 terms about one pair shares an index.
    """

    def __init__(self, *, sentence_length: int = 16) -> None:
        """`sentence_length` counts words that are no stop words, those of the headings included.

        From 12 to 20 rankings hardly differ.
        """
        self._sentence_length = sentence_length

    @property
    def name(self) -> str:
        """Names everything that decides the vectors."""
        stems = f"snowball-{Stemmer.version()}"
        return f"bm25-{RULES}(k1={K1},b={B},sentence={self._sentence_length},{stems})"

    def count(self, texts: Sequence[str], *, languages: Sequence[str | None]) -> TermCounts:
        """As the port says. Text in an unknown language loses English stop words."""
        starts = np.zeros(len(texts) + 1, dtype=np.int64)
        lengths = np.zeros(len(texts), dtype=np.float32)
        terms: list[int] = []
        counts: list[int] = []
        for row, (text, language) in enumerate(zip(texts, languages, strict=True)):
            frequencies, lengths[row] = _frequencies(text, _primary(language))
            present = sorted(frequencies)
            terms += present
            counts += [frequencies[term] for term in present]
            starts[row + 1] = len(terms)
        return TermCounts(
            starts, np.array(terms, dtype=np.uint32), np.array(counts, dtype=np.float32), lengths
        )

    def weigh(self, counts: TermCounts, *, sentences: int) -> list[SparseVector]:
        relative = counts.lengths / np.float32(self._sentence_length * sentences)
        norms = np.repeat(K1 * (1 - B + B * relative), np.diff(counts.starts))
        weights = (counts.counts * (K1 + 1) / (counts.counts + norms)).astype(np.float32)
        return [
            SparseVector(counts.terms[start:end], weights[start:end])
            for start, end in pairwise(counts.starts.tolist())
        ]

    def query(self, text: str, *, language: str | None = None) -> SparseVector:
        """As the port says. Without a language, two stop words of one tell it."""
        found = words(text)
        spoken = _primary(language) or _guessed(found)
        indices = {index for word in found for index in _indices(word, spoken)[0]}
        return SparseVector.of(dict.fromkeys(indices, 1.0))


def _frequencies(text: str, language: str | None) -> tuple[dict[int, int], int]:
    """How often each term occurs, and how many words count."""
    frequencies: dict[int, int] = {}
    length = 0
    for word, count in Counter(words(text)).items():
        indices, counted = _indices(word, language)
        length += count * counted
        for index in indices:
            frequencies[index] = frequencies.get(index, 0) + count
    return frequencies, length


def term_index(term: str) -> int:
    """The same 32 bits on every machine and in every process."""
    digest = blake2b(term.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big")


@lru_cache(maxsize=200_000)
def _indices(word: str, language: str | None) -> tuple[tuple[int, ...], int]:
    """Of its terms that are no stop words, and for how many words it counts."""
    read = read_word(word)
    stop_words = STOP_WORDS.get(language or "en", frozenset())
    terms = [term for term in read.terms if term not in stop_words]
    forms = (_stem(term, spoken) for term in terms for spoken in {"en", language or "en"})
    return tuple({term_index(form) for form in forms}), read.length if terms else 0


def _stem(term: str, language: str) -> str:
    """By the rules of `language`; as it is, when Snowball has none for it."""
    # A stemmer must not be used by two threads at a time.
    mine: dict[str, Stemmer.Stemmer | None] = _stemmers.__dict__
    if language not in mine:
        algorithm = _ALGORITHMS.get(language)
        known = algorithm in Stemmer.algorithms()
        # Without its own cache of words, which we keep better, it is three times as fast.
        mine[language] = Stemmer.Stemmer(algorithm, 0) if known else None
    stemmer = mine[language]
    return stemmer.stemWord(term) if stemmer else term


def _primary(language: str | None) -> str | None:
    """'en-GB' is 'en'."""
    return language.partition("-")[0].lower() if language else None


def _guessed(found: Sequence[str]) -> str | None:
    """The one language that claims the most words of a query, two at least."""
    terms = {term for word in found for term in read_word(word).terms}
    claims = {language: len(terms & theirs) for language, theirs in STOP_WORDS.items()}
    most = max(claims.values())
    best = [language for language, count in claims.items() if count == most]
    return best[0] if most >= 2 and len(best) == 1 else None
