"""JSON that a client sends and that goes to the engine as it came.

Python reads more as JSON than may be written as JSON, or in UTF-8: what could not be sent is
refused here, where whoever sent it can be told.
Does not know: what it means.
"""

import math
from typing import Annotated, Any

from pydantic import AfterValidator

LEVEL_LIMIT = 64
"""Of objects and lists in each other; the schemas of real tools have a dozen."""


def check_characters(text: str) -> None:
    """Raises ValueError for what is no Unicode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is no character") from None


def _sendable(value: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [value]
    for _ in range(LEVEL_LIMIT):
        level = [part for each in level for part in _parts(each)]
        if not level:
            return value
    raise ValueError(f"is nested deeper than {LEVEL_LIMIT} levels")


def _parts(value: Any) -> list[Any]:
    match value:
        case dict():
            return [*value, *value.values()]
        case list():
            return value
        case str():
            check_characters(value)
        case float() if not math.isfinite(value):
            raise ValueError("holds NaN or Infinity, which JSON has not")
    return []


PassedOn = Annotated[dict[str, Any], AfterValidator(_sendable)]
