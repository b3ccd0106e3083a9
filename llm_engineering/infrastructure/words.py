"""Words of a text, and what of each a search should find it by.

Identifiers are found whole and by part: `sqlite-utils`, `sqlite_utils` and `sqliteUtils` are one
word with the same two parts. Does not know: languages, stems, weights.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from unicodedata import category, normalize

LONGEST = 500
"""Characters of a word; what is longer is data, such as an image in base64."""

_UNSEEN = dict.fromkeys((0xAD, 0x200B, 0x2060, 0xFEFF))
"""Soft hyphen and marks of no width, which would cut a word in two."""
_APOSTROPHES = dict.fromkeys(map(ord, "’‘ʼ"), "'")
_CLITICS = frozenset(("d", "ll", "m", "re", "s", "ve"))
"""What English puts behind an apostrophe without changing what the word is about."""
_ELISIONS = frozenset(
    (
        "all", "bell", "c", "coll", "com", "cos", "d", "dall", "dell", "dov", "j", "jusqu", "l",
        "lorsqu", "m", "n", "nell", "puisqu", "qu", "quell", "quest", "quoiqu", "s", "sant",
        "sull", "t", "un", "v",
    )
)  # fmt: skip
"""What French and Italian put before an apostrophe."""
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, kana, Han and Hangul: no spaces, or words with endings glued on."""
_RUNS = re.compile(f"([{_UNSPACED}]+)")
_INNER = re.compile(r"[-_.]+")
_HUMP = re.compile(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_GLUE = re.compile(r"(?<=[^\W_])['_-]+(?=[^\W_])")
_NUMBER = re.compile(r"\d+(?:\.\d+)+")
_NUMBERED = re.compile(r"([^\W\d_]{3,})\d+")


@dataclass(frozen=True, slots=True)
class Word:
    """What one word is found by, case folded."""

    terms: tuple[str, ...]
    """Of an identifier its whole first, then its parts; distinct."""
    length: int
    """How many words it counts for in the length of its text."""


def words(text: str) -> list[str]:
    """The words of `text` in order, each as it stands there, compatibility forms unified (NFKC)."""
    if text.isascii():
        found = _PLAIN.findall(text)
    else:
        text = normalize("NFKC", text.translate(_UNSEEN)).translate(_APOSTROPHES)
        found = _marked().findall(text)
    return [word for word in found if len(word) <= LONGEST]


@lru_cache(maxsize=200_000)
def read_word(word: str) -> Word:
    """Take one of `words` apart."""
    if word.isalpha() and word.isascii() and (word.islower() or word[1:].islower()):
        return Word((word.lower(),), 1)
    if not _RUNS.search(word):
        return Word(_spaced(word), 1)
    pairs: list[str] = []
    rest: list[str] = []
    for number, piece in enumerate(_RUNS.split(word)):
        if number % 2:
            pairs += [piece[at : at + 2] for at in range(max(1, len(piece) - 1))]
        elif piece.strip("-_.'"):
            rest += _spaced(piece)
    return Word(tuple(dict.fromkeys(rest + pairs)), len(rest) + len(pairs))


def _spaced(word: str) -> tuple[str, ...]:
    body = word.lstrip("-.").rstrip("+#")
    parts = [part for piece in _INNER.split(body) if piece for part in _parts(piece)]
    if parts == [word.casefold()] or (len(parts) == 1 and "'" in word and word == body):
        return tuple(parts)
    whole = _GLUE.sub("", word).casefold()
    if _NUMBER.fullmatch(whole):
        return (whole,)
    return tuple(dict.fromkeys([whole, *(part for part in parts if len(part) > 1)]))


def _parts(piece: str) -> list[str]:
    if "'" in piece:
        return _around_apostrophe(piece.casefold())
    humps = [hump.casefold() for hump in _HUMP.split(piece)]
    numbered = _NUMBERED.fullmatch(piece)
    if numbered and len(humps) == 1:
        humps.append(numbered[1].casefold())
    return humps


def _around_apostrophe(piece: str) -> list[str]:
    head, _, tail = piece.rpartition("'")
    if tail == "t":
        return [piece.replace("'", "")]
    if tail in _CLITICS:
        return [head.replace("'", "")]
    if head in _ELISIONS:
        return [tail]
    return piece.split("'")


def _pattern(letters: str) -> re.Pattern[str]:
    """Letters joined by `-`, `.` or an apostrophe; with the dashes of an option, C++, C#, .NET."""
    opening, closing = r"(?<![\w.-])(?:--?|\.)(?=[^\W\d_])", r"(?:\+\+|\#)(?!\w)"
    return re.compile(rf"(?:{opening})?{letters}(?:[-.']{letters})*(?:{closing})?")


_PLAIN = _pattern(r"\w+")


@cache
def _marked() -> re.Pattern[str]:
    r"""`\w` lacks the combining marks, which are most vowels of the Indian scripts.

    All scripts in use have theirs below U+2000.
    """
    marks = (chr(code) for code in range(0x300, 0x2000))
    return _pattern(rf"[\w{''.join(mark for mark in marks if category(mark)[0] == 'M')}]+")
