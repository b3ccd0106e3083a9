"""Server-sent events out of bytes that were cut anywhere.

Does not know: what an event holds, but for the one that says that it was the last.
"""

from collections.abc import Iterator

_EVENT, _LAST = b"data:", "[DONE]"


class EventLines:
    """Bytes go in as they come; what comes out are the data of whole events."""

    def __init__(self) -> None:
        self._rest = b""
        self.ended = False
        """Whether the stream said so; nothing is read after that."""
        self.other = ""
        """What was no event: a server's own words, where it failed before the first."""

    def feed(self, part: bytes) -> Iterator[str]:
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            yield from self._line(line)

    def end(self) -> Iterator[str]:
        """What a stream that ends without a line's end still holds."""
        line, self._rest = self._rest, b""
        yield from self._line(line)

    def _line(self, line: bytes) -> Iterator[str]:
        if self.ended:
            return
        text = line.removeprefix(_EVENT).decode(errors="replace").strip()
        if not line.startswith(_EVENT):
            self.other += text
        elif text == _LAST:
            self.ended = True
        elif text:
            yield text
