"""What an answer gives out: no image from elsewhere and no address that its model was not shown.

A text that was retrieved may talk a model into carrying what it knows to another host, in an
image that is fetched when it is drawn or in a link that somebody follows. An address that stands in
the prompt, letter for letter, tells its host nothing; every other one is left out, in code as well,
since what one reader of Markdown takes for code another draws. HTML goes, but in code only what
could reach elsewhere. Does not know: whether what is said is true.
"""

import re
from collections.abc import Iterable

from llm_engineering.application.rag.marking import MARK
from llm_engineering.application.rag.prompts import LINK_LEFT_OUT
from llm_engineering.domain.chat import Message

_ELEMENTS = (
    "a|abbr|address|applet|area|article|aside|audio|b|base|bdi|bdo|blockquote|body|br|button|canvas"
    "|center|cite|code|col|colgroup|data|datalist|dd|del|details|dfn|dialog|div|dl|dt|em|embed"
    "|fieldset|figcaption|figure|font|footer|form|frame|frameset|h[1-6]|head|header|hr|html|i"
    "|iframe|img|image|input|ins|kbd|label|legend|li|link|main|map|mark|math|menu|meta|meter|nav"
    "|noscript|object|ol|optgroup|option|output|p|param|picture|portal|pre|progress|q|rp|rt|ruby"
    "|s|samp|script|search|section|select|slot|small|source|span|strike|strong|style|sub|summary"
    "|sup|svg|table|tbody|td|template|textarea|tfoot|th|thead|time|title|tr|track|u|ul|var|video"
    "|wbr|xmp"
)
_FENCE = "```"
_TARGET = (
    r"\(\s*+(?:<[^<>\n]*>|[^\s()<>]*+(?:\([^\s()]*\)[^\s()<>]*+)*+)\s*+"
    r"(?:(?<=\s)(?:\"[^\"]*\"|'[^']*'|\([^()]*\))\s*+)?\)"
)
"""Where a link goes, with its title. Possessive: it is tried again with every piece that comes."""
_ADDRESS = r"(?:https?://|www\.)[^\s<>\"'`|\\^{}\[\]]+"
_TAG = rf"</?(?:{_ELEMENTS})(?![\w.-])[^<>]*>|<[a-z!?/][^<>]*=[^<>]*>"
_PIECE = re.compile(
    rf"(?P<image>!\[(?P<alt>[^\[\]]*)\](?P<source>{_TARGET}))"
    rf"|(?P<link>\[(?P<label>[^\[\]]*)\](?P<target>{_TARGET}))"
    rf"|(?P<tag><!--.*?-->|{_TAG})"
    rf"|(?P<address>{_ADDRESS})"
    rf"|(?P<mark>{MARK} ?)",
    re.DOTALL | re.IGNORECASE,
)
_BRACKETS = re.compile(r"\[[^\[\]]*\](?![(\[])")
_OPENER = re.compile(
    rf"!(?=\[|\Z)|\[|\](?=[(:]|\Z)|{MARK}|`|<(?=[a-z!?/]|\Z)|https?://|www\."
    r"|(?:https?:?/{0,2}|htt?p?|h|w{1,3})\Z",
    re.IGNORECASE,
)
"""Where something begins, or may begin, that more text decides on."""
_UNFINISHED = re.compile(r"(?:https?:?/{0,2}|htt?p?|h|w{1,3}|[!<\[\]])\Z", re.IGNORECASE)
"""What follows might make an address, an image or a tag of it."""
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
_LINE_BEGINS = re.compile(rf"[\s>*+\-\d.){MARK}]*\[[^\[\]]*\Z")
"""A line up to here, where a colon after the bracket would define a link."""
_ELSEWHERE = re.compile(r"//|www\.|[\\&:]|\bon\w+\s*=", re.IGNORECASE)
"""Could reach another host, or run."""
_HERE = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?(?:/[^@]*)?\Z", re.IGNORECASE
)
_AFTER = ".,;:!?…*_~’”"
"""Ends a sentence or emphasis rather than an address, where it is the last."""
_TAIL = 12
_LONGEST = 4_000
"""Characters that are held back until it is clear what they are."""


class OutboundText:
    """A model's text that arrives in pieces, each given on as soon as no more text can change it.

    However it is cut, what is given on is the same.
    """

    def __init__(self, known: frozenset[str]) -> None:
        """`known`: the addresses that may be given out; see `addresses`."""
        self._known = known
        self._pending = ""
        self._line = ""
        """What came before in this line."""
        self._tail = ""
        """The last that was given on."""
        self._code = ""
        """What ends the code that we are in: '`', a fence, or '' in prose."""

    def feed(self, text: str) -> str:
        """The next piece to show; '' when that depends on what follows."""
        self._pending += text
        return self._given(ended=False)

    def end(self) -> str:
        """What was still held back; nothing follows."""
        return self._given(ended=True)

    def _given(self, *, ended: bool) -> str:
        pieces: list[str] = []
        while self._pending:
            taken, shown = self._step(self._pending, ended)
            if not taken:
                break
            line = self._line + self._pending[:taken]
            self._line = line[line.rfind("\n") + 1 :]
            self._pending = self._pending[taken:]
            self._tail = (self._tail + shown)[-_TAIL:]
            pieces.append(shown)
        return "".join(pieces)

    def _step(self, text: str, ended: bool) -> tuple[int, str]:
        """How many characters are settled, and what is shown for them."""
        found = _OPENER.search(text)
        before = len(text) if found is None else found.start()
        if before:
            if self._code == "`" and "\n" in text[:before]:
                self._code = ""
            return before, text[:before]
        if text[0] == "`":
            return self._ticks(text, ended)
        paragraph = _PARAGRAPH_END.search(text)
        within = min(_LONGEST + 1, paragraph.end() if paragraph else len(text))
        match = _PIECE.match(text, 0, within)
        settled = match is not None and (ended or match.end() < len(text))
        if match and settled and match.end() <= _LONGEST:
            return match.end(), self._shown(match)
        if len(text) > _LONGEST and match and match["address"]:
            return _LONGEST, LINK_LEFT_OUT
        if not ended and len(text) <= _LONGEST and _may_go_on(text):
            return 0, ""
        return 1, self._literal(text)

    def _literal(self, text: str) -> str:
        """Its first character, apart from the next where a reader could make something of both."""
        apart = text[:2] in ("![", "](") or (text[:2] == "]:" and _LINE_BEGINS.match(self._line))
        apart = apart or (text[0] == "<" and len(text) > _LONGEST)
        return f"{text[0]} " if apart else text[0]

    def _ticks(self, text: str, ended: bool) -> tuple[int, str]:
        if len(text) < len(_FENCE) and not text.strip("`") and not ended:
            return 0, ""
        ticks = _FENCE if text.startswith(_FENCE) else "`"
        if not self._code:
            self._code = ticks
        elif self._code == ticks:
            self._code = ""
        return len(ticks), ticks

    def _shown(self, match: re.Match[str]) -> str:
        kind, text = match.lastgroup, match[0]
        match kind:
            case "image":
                alt = self._within(match["alt"])
                kept = self._stays_here(match["source"])
                return f"![{alt}]{match['source']}" if kept else self._in_place(alt)
            case "link":
                known = _trimmed(_destination(match["target"])) in self._known
                kept = known or self._stays_here(match["target"])
                label = self._within(match["label"])
                return f"[{label}]{match['target']}" if kept else self._in_place(label)
            case "tag":
                return text if self._code and self._stays_here(text) else self._in_place("")
            case "address":
                address = _trimmed(text)
                given = _absolute(address)
                shown = given in self._known or _HERE.match(given) is not None
                return (address if shown else LINK_LEFT_OUT) + text[len(address) :]
            case _:
                return self._in_place("")

    def _stays_here(self, text: str) -> bool:
        """Whether nothing in a tag or a link's target can reach another host but known ones."""

        def unknown(match: re.Match[str]) -> str:
            return "" if _absolute(_trimmed(match[0])) in self._known else match[0]

        if text.startswith("</"):
            text = text[2:]
        images = text.startswith("(") or "src" in text.lower()
        rest = text if images else re.sub(_ADDRESS, unknown, text, flags=re.IGNORECASE)
        return _ELSEWHERE.search(rest) is None

    def _in_place(self, text: str) -> str:
        """`text` instead of something, so that it makes nothing new with what is beside it."""
        shown = self._within(text).replace("`", "'")
        if not shown:
            return " " if self._tail and not self._tail[-1].isspace() else ""
        before = " " if _UNFINISHED.search(self._tail) else ""
        after = " " if _UNFINISHED.search(shown) else ""
        return f"{before}{shown}{after}"

    def _within(self, text: str) -> str:
        inner = OutboundText(self._known)
        return inner.feed(text) + inner.end()


def addresses(messages: Iterable[Message]) -> frozenset[str]:
    """Those that stand in `messages`, with and without what stands behind their '#'."""
    found = {
        _absolute(_trimmed(address))
        for message in messages
        for address in re.findall(_ADDRESS, message.content, re.IGNORECASE)
    }
    return frozenset(found | {address.partition("#")[0] for address in found})


def _may_go_on(text: str) -> bool:
    """Whether more text may make something of what `text` begins with."""
    if text[0] in f"]{MARK}":
        return text in ("]", MARK, f"{MARK} ")
    if (closed := _BRACKETS.match(text, text[0] == "!")) is not None and closed.end() < len(text):
        return False
    return _PARAGRAPH_END.search(text) is None


def _destination(target: str) -> str:
    """Of '(<https://example.org> "title")'."""
    words = target[1:-1].split()
    return words[0].strip("<>") if words else ""


def _trimmed(address: str) -> str:
    """Without what only follows it, as GitHub's Markdown takes it."""
    while address and (
        address[-1] in _AFTER or (address[-1] == ")" and address.count(")") > address.count("("))
    ):
        address = address[:-1]
    return address


def _absolute(address: str) -> str:
    return f"http://{address}" if address.lower().startswith("www.") else address
