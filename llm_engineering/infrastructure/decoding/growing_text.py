"""Text that grows token by token: what of it is certain, and where it must end.

Does not know: which tokens exist; a function decodes them.
"""

from collections.abc import Callable, Sequence

_HALF = "\ufffd"
"""What a part of a character is decoded to."""


class GrowingText:
    """Gives text away as soon as no later token can change it, and nothing of a stop sequence."""

    def __init__(self, decode: Callable[[Sequence[int]], str], *, stop: Sequence[str]) -> None:
        self._decode = decode
        self._stop = tuple(each for each in stop if each)
        self._ids: list[int] = []
        self._context = 0
        """Tokens are decoded from here on: some write a space only after others."""
        self._decoded = 0
        """Tokens whose text was taken."""
        self._pending = ""
        """Text that may be the beginning of a stop sequence."""
        self.stopped = False
        """Whether a stop sequence was found; nothing follows."""

    def add(self, token: int) -> str:
        """The text that is certain now."""
        self._ids.append(token)
        return self._checked(self._fresh(whole=False))

    def end(self) -> str:
        """What was held back; nothing follows."""
        if self.stopped:
            return ""
        given = self._checked(self._fresh(whole=True))
        rest, self._pending = self._pending, ""
        return given + rest  # which is '' where a stop sequence was found just now

    def _fresh(self, *, whole: bool) -> str:
        before = self._decode(self._ids[self._context : self._decoded])
        after = self._decode(self._ids[self._context :])
        if not whole and (len(after) <= len(before) or after.endswith(_HALF)):
            return ""
        self._context, self._decoded = self._decoded, len(self._ids)
        return after[len(before) :]

    def _checked(self, fresh: str) -> str:
        text = self._pending + fresh
        places = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        if places:
            self.stopped, self._pending = True, ""
            return text[: min(places)]
        held = self._held(text)
        self._pending = text[len(text) - held :]
        return text[: len(text) - held]

    def _held(self, text: str) -> int:
        """Characters at the end that a stop sequence begins with."""
        longest = max(map(len, self._stop), default=1) - 1
        lengths = range(min(longest, len(text)), 0, -1)
        return next((n for n in lengths if any(s.startswith(text[-n:]) for s in self._stop)), 0)
