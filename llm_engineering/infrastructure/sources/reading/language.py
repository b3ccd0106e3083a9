"""Which language a text is in, as an ISO 639-1 code."""

import re
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|\]\([^)\s]*\)|https?://\S+", re.DOTALL)
_NOT_LETTERS = re.compile(r"[\W\d_]+")
_FEWEST_LETTERS = 24
_LEAST_CERTAIN = 0.9
_READ = 4_000
"""Characters that are read; more do not change the verdict."""


def language_code(tag: str | None) -> str | None:
    """'en-GB' and 'EN' are 'en'; None for what is no ISO 639-1 language tag."""
    code = re.split(r"[-_]", (tag or "").strip().lower())[0]
    return code if re.fullmatch(r"[a-z]{2}", code) else None


def detect_language(markdown: str) -> str | None:
    """The language of the prose in `markdown`; None where it is too short or too mixed to tell."""
    prose = _NOT_LETTERS.sub(" ", _CODE.sub(" ", markdown[: 2 * _READ]))[:_READ]
    if len(prose.replace(" ", "")) < _FEWEST_LETTERS:
        return None
    language, certainty = _identifier().classify(prose)
    return language_code(language) if certainty >= _LEAST_CERTAIN else None


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
