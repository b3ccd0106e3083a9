"""BM25 term weights for documents and queries.

Weight of a term in a text, without the IDF that the index multiplies in (Robertson and Zaragoza,
"The Probabilistic Relevance Framework", 2009, eq. 3.15):

    tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average length))

The average length is a constant, so that a new document never changes the weights of another.

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
from types import MappingProxyType

import Stemmer

from llm_engineering.domain.chunks import SparseVector
from llm_engineering.infrastructure.stop_words import STOP_WORDS
from llm_engineering.infrastructure.words import read_word, words

K1 = 1.2
B = 0.75
RULES = 1
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

    def __init__(self, *, average_length: int = 75) -> None:
        """`average_length` counts words that are no stop words.

        A chunk of code has about 55, one of prose 90; from 55 to 130 rankings hardly differ.
        """
        self._average_length = average_length

    @property
    def name(self) -> str:
        """Names everything that decides the vectors."""
        stems = f"snowball-{Stemmer.version()}"
        return f"bm25-{RULES}(k1={K1},b={B},length={self._average_length},{stems})"

    def documents(
        self, texts: Sequence[str], *, languages: Sequence[str | None]
    ) -> list[SparseVector]:
        """As the port says. Text in an unknown language loses English stop words."""
        return [
            self._document(text, _primary(language))
            for text, language in zip(texts, languages, strict=True)
        ]

    def query(self, text: str, *, language: str | None = None) -> SparseVector:
        """As the port says. Without a language, two stop words of one tell it."""
        found = words(text)
        spoken = _primary(language) or _guessed(found)
        indices = sorted({index for word in found for index in _indices(word, spoken)[0]})
        return SparseVector(indices, [1.0] * len(indices))

    def _document(self, text: str, language: str | None) -> SparseVector:
        frequencies: dict[int, int] = {}
        length = 0
        for word, count in Counter(words(text)).items():
            indices, counted = _indices(word, language)
            length += count * counted
            for index in indices:
                frequencies[index] = frequencies.get(index, 0) + count
        norm = K1 * (1 - B + B * length / self._average_length)
        present = sorted(frequencies)
        weights = [(tf := frequencies[index]) * (K1 + 1) / (tf + norm) for index in present]
        return SparseVector(present, weights)


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
