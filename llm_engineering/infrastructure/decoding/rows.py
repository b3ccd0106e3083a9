"""An answer in the making: what is read, what was said, and to whom it is told.

Does not know: how tokens are computed.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llm_engineering.domain.chat import Completion, Delta, FinishReason, Usage
from llm_engineering.infrastructure.decoding.growing_text import GrowingText
from llm_engineering.infrastructure.decoding.token_choice import Choice
from llm_engineering.infrastructure.thoughts import Thoughts

if TYPE_CHECKING:
    from llm_engineering.infrastructure.decoding.served_versions import Served

Piece = Delta | Completion | Exception


class Row:
    """One answer. Used by the thread that computes; `leave` may be called from any other."""

    def __init__(
        self,
        prompt: Sequence[int],
        *,
        limit: int,
        choice: Choice,
        stop: Sequence[str],
        served: "Served",
        tell: Callable[[Piece], object],
    ) -> None:
        """`limit`: the tokens that it may say; `tell` is called with each piece of the answer, a
        Completion or an exception last; it neither waits nor raises."""
        self.tokens = list(prompt)
        self.read = 0
        """Tokens whose keys and values are kept."""
        self.choice = choice
        self.served = served
        self.left = False
        """Whoever asked is gone: nothing more is to be computed."""
        self.ended = False
        """Whoever asked was told the last of it."""
        self._prompt = len(self.tokens)
        self._limit = limit
        self._tell = tell
        self._growing = GrowingText(served.base.decode, stop=stop)
        self._thoughts = Thoughts()
        self._text: list[str] = []

    @property
    def unread(self) -> int:
        return len(self.tokens) - self.read

    def leave(self) -> None:
        self.left = True

    def say(self, token: int) -> bool:
        """Take the next token in; returns whether the answer goes on."""
        self.tokens.append(token)
        said = len(self.tokens) - self._prompt
        if token in self.served.base.ends:
            return self._end("stop")
        self._give(self._growing.add(token))
        if self._growing.stopped:
            return self._end("stop")
        if said >= self._limit:
            return self._end("length")
        return True

    def fail(self, error: Exception) -> None:
        """The answer breaks off here."""
        self.ended = True
        self._tell(error)

    def _end(self, reason: FinishReason) -> bool:
        self._give(self._growing.end())
        self._give(self._thoughts.end(), thought=True)
        self.ended = True
        self._tell(
            Completion(
                text="".join(self._text),
                # The text that was held back may have ended with a stop sequence.
                finish_reason="stop" if self._growing.stopped else reason,
                usage=Usage(
                    prompt_tokens=self._prompt, completion_tokens=len(self.tokens) - self._prompt
                ),
                model=self.served.version,
            )
        )
        return False

    def _give(self, text: str, *, thought: bool = False) -> None:
        if shown := text if thought else self._thoughts.feed(text):
            self._text.append(shown)
            self._tell(Delta(shown))
