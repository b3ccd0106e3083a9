"""Lengths of texts in tokens, as a chat server counts them.

Does not know: how the server is asked.
"""

from collections.abc import Callable
from typing import Protocol

from pydantic import ValidationError

from llm_engineering.infrastructure.openai_wire import Counted, estimated_tokens

_REMEMBERED = 20_000
"""Texts whose lengths are kept."""


class Response(Protocol):
    """httpx's, as far as it is read here."""

    @property
    def is_server_error(self) -> bool: ...

    @property
    def is_success(self) -> bool: ...

    @property
    def content(self) -> bytes: ...


class ServerTokens:
    """Estimates where the server does not count, which it is asked once."""

    def __init__(self, ask: Callable[[str], Response]) -> None:
        """`ask` has the server count a text, as vLLM's `/tokenize` does."""
        self._ask = ask
        self._counts: bool | None = None
        """Whether the server counts tokens; None before it was asked."""
        self._counted: dict[str, int] = {}
        """A passage is put together from sentences, each counted more than once."""

    def count(self, text: str) -> int:
        """Raises what `ask` raises."""
        if self._counts is False:
            return estimated_tokens(text)
        if (counted := self._counted.get(text)) is None:
            if (counted := self._count(text)) is None:
                return estimated_tokens(text)
            if len(self._counted) >= _REMEMBERED:
                self._counted.clear()
            self._counted[text] = counted
        return counted

    def _count(self, text: str) -> int | None:
        """None when the server does not count; remembered, unless it only failed this time."""
        response = self._ask(text)
        if response.is_server_error:
            return None
        try:
            counted = Counted.model_validate_json(response.content).count
        except ValidationError:
            self._counts = False
            return None
        self._counts = response.is_success
        return counted if response.is_success else None
