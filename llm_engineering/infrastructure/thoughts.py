"""Takes the thoughts that a reasoning model shows before its answer out of a stream of text."""

_OPENS, _ENDS = "<think>", "</think>"


class Thoughts:
    """Text that arrives in pieces, without `<think>…</think>` and white space at its beginning."""

    def __init__(self) -> None:
        self._pending = ""
        self._answers = False
        """Whether the answer has begun: from there on nothing is touched."""

    def feed(self, text: str) -> str:
        """The next piece of the answer; '' as long as it may still be thoughts."""
        if self._answers:
            return text
        self._pending = (self._pending + text).lstrip()
        if self._pending.startswith(_OPENS):
            _, ended, rest = self._pending.partition(_ENDS)
            if not ended:
                # Only what may be the beginning of the end is kept of a long thought.
                self._pending = _OPENS + self._pending[len(_OPENS) :][-len(_ENDS) :]
                return ""
            self._pending = rest.lstrip()
        if _OPENS.startswith(self._pending):
            return ""
        self._answers = True
        return self._pending

    def end(self) -> str:
        """What was still held back; nothing follows, and a thought that does not end is none."""
        held, self._pending = self._pending, ""
        return "" if self._answers or held.startswith(_OPENS) else held


def answer_in(text: str) -> str:
    """The answer alone, of a text that is whole."""
    thoughts = Thoughts()
    return thoughts.feed(text) + thoughts.end()
