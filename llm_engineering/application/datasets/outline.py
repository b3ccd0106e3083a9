"""A cleaned document as what its author says: sections of thoughts, other people's words apart.

A thought is a paragraph or a list with what it leads into ("like this:" and the code below it).
What is nobody's prose (tables, raw HTML, pictures, lists of links, boilerplate) or somebody else's
(block quotes, quoted mail, the others in a transcript) is no thought, and ends the run of thoughts
that came before it.

Does not know: how long a target may be, what is asked for it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from llm_engineering.application.datasets.speakers import spoken
from llm_engineering.application.markdown import Block, blocks

_FORWARDED = re.compile(
    r"^[ \t]*(?:-{2,}[ ]*(?:Original|Forwarded) [Mm]essage[ ]*-{2,}|Begin forwarded message:)",
    re.MULTILINE,
)
"""All below is by others (RFC 3676 has no mark for it; these are what mail programs write)."""
_ATTRIBUTION = re.compile(r"^On\b.{5,150}\bwrote:$", re.DOTALL)
_SIGNATURE = re.compile(r"^--\n")
_QUOTED_LINE = re.compile(r"^[ \t]*(?:[-*+]|\d{1,9}[.)])?[ \t]*>", re.MULTILINE)
_PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_TARGET = re.compile(r"(?<=\])\([^)\n]*\)|<?https?://[^\s)>]+>?")
_LINK = re.compile(r"\[[^\]]*\]\([^)\n]*\)")
_HEADING_MARKS = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[`*]|(?<!\w)_(?=\w)|(?<=\w)_(?!\w)")
_CONTAINER = re.compile(r"<(/?)(?:blockquote|details|pre|table|figure)\b[^>]*>", re.IGNORECASE)
"""Raw HTML around what others said, what a program printed, or what is folded away."""
_MIN_LETTERS = 15
"""Of a list item or paragraph beside its links: less is a reference, not a thought."""


@dataclass(frozen=True, slots=True)
class Thought:
    """Characters [start, end), whole blocks."""

    start: int
    end: int
    blocks: tuple[Block, ...]

    @property
    def code(self) -> int:
        """Characters of code in it."""
        return sum(block.end - block.start for block in self.blocks if block.kind == "code")


@dataclass(frozen=True, slots=True)
class Run:
    """Thoughts that follow one another under one heading."""

    thoughts: tuple[Thought, ...]
    heading_path: tuple[str, ...]
    """As plain text; of the document's own title, if that is its first heading, nothing."""
    first: bool
    """Whether it begins its section: before it stand at most pictures, links and furniture."""
    whole: bool
    """Whether nothing of its section was left out."""
    question: str = ""
    """Asked by somebody else directly before it."""


@dataclass(slots=True)
class _Section:
    path: tuple[str, ...]
    runs: list[list[Block]] = field(default_factory=lambda: [[]])
    quotes: dict[int, str] = field(default_factory=dict)
    """Number of a run -> what was asked in the quote before it; '' when nothing was."""
    barred: bool = False

    def bar(self) -> None:
        self.barred = True
        if self.runs[-1]:
            self.runs.append([])

    def quote(self, question: str) -> None:
        self.bar()
        self.quotes[len(self.runs) - 1] = question


def outline(
    text: str, *, title: str, author: str, boilerplate: Set[str], dropped: Counter[str]
) -> list[Run]:
    """The runs of a cleaned document in order; what is none is counted in `dropped`."""
    runs: list[Run] = []
    for section in _sections(own_part(text), title, author, boilerplate, dropped):
        for number, found in enumerate(section.runs):
            thoughts = _thoughts(text, found)
            if found and not thoughts:
                dropped["block: code without words"] += 1
            if not thoughts:
                continue
            uncut = thoughts[0].start == found[0].start
            runs.append(
                Run(
                    thoughts=thoughts,
                    heading_path=section.path,
                    first=number == 0 and uncut and number not in section.quotes,
                    whole=uncut and not section.barred,
                    question=section.quotes.get(number, ""),
                )
            )
    return runs


def own_part(text: str) -> str:
    """The text up to a message that it forwards."""
    found = _FORWARDED.search(text)
    return text[: found.start()] if found else text


def boilerplate_of(texts: Iterable[str], *, documents: int) -> frozenset[str]:
    """Blocks (folded) that stand in at least so many documents; "And then:" is only a habit."""
    counts: Counter[str] = Counter()
    for text in texts:
        bodies = (text[b.start : b.end] for b in blocks(text) if b.kind not in ("heading", "code"))
        counts.update({folded(body) for body in bodies if not body.rstrip().endswith(":")})
    return frozenset(
        block
        for block, count in counts.items()
        if count >= documents and sum(map(str.isalpha, block)) >= _MIN_LETTERS
    )


def folded(text: str) -> str:
    """Equal for texts that differ in case, white space and link targets only."""
    return " ".join(_TARGET.sub("", text).casefold().split())


def plain(heading: str) -> str:
    """A heading or title without Markdown."""
    return " ".join(_HEADING_MARKS.sub(r"\1", heading).split())


def prose_letters(text: str) -> int:
    """Letters outside of links, pictures and addresses."""
    return sum(map(str.isalpha, _TARGET.sub("", _LINK.sub("", _PICTURE.sub("", text)))))


def read_letters(text: str) -> int:
    """Letters that a reader sees: those of link texts as well."""
    return sum(map(str.isalpha, _TARGET.sub("", _PICTURE.sub("", text))))


def _sections(
    text: str, title: str, author: str, boilerplate: Set[str], dropped: Counter[str]
) -> list[_Section]:
    sections = [_Section(())]
    path: list[tuple[int, str]] = []
    depth = 0
    for number, (block, mine) in enumerate(spoken(text, blocks(text), author=author)):
        if block.kind == "heading":
            name = plain(block.title)
            if number == 0 and name.casefold() == plain(title).casefold():
                continue
            path = [above for above in path if above[0] < block.level] + [(block.level, name)]
            sections.append(_Section(tuple(name for _, name in path if name)))
            continue
        body = text[block.start : block.end]
        inside, depth = depth > 0, max(0, depth + _opened(block, body))
        reason = "inside raw HTML" if inside else _not_own(body, block, boilerplate)
        reason = reason if mine else "other people's words"
        if not reason:
            if block.start > 0 and text[block.start - 1] != "\n":
                sections[-1].bar()  # the name of who speaks stands before it
            sections[-1].runs[-1].append(block)
            continue
        dropped[f"block: {reason}"] += 1
        if block.kind == "quote" or not mine:
            sections[-1].quote(_asked(body))
        else:
            sections[-1].bar()
    return sections


def _not_own(body: str, block: Block, boilerplate: Set[str]) -> str:
    """Why a block is not the author's prose; '' when it is, or may be."""
    if block.kind in ("quote", "table", "html"):
        return {"quote": "other people's words", "table": "a table", "html": "raw HTML"}[block.kind]
    if block.kind == "code":
        return ""
    if _ATTRIBUTION.match(body.strip()) or _SIGNATURE.match(body):
        return "mail furniture"
    if block.kind == "item" and _QUOTED_LINE.search(body):
        return "other people's words"
    if folded(body) in boilerplate:
        return "repeated in several documents"
    if not body.rstrip().endswith(":") and prose_letters(body) < _MIN_LETTERS:
        return "links, pictures or fragments" if _TARGET.search(body) else ""
    return ""


def _opened(block: Block, body: str) -> int:
    """Containers that are open after a block, less those that were before it."""
    if block.kind == "code":
        return 0
    outside_code = re.sub(r"`[^`\n]*`", "", body)
    return sum(-1 if found[1] else 1 for found in _CONTAINER.finditer(outside_code))


def _asked(quote: str) -> str:
    """What a quoted passage asks, on one line; '' when it does not end in a question."""
    line = " ".join(re.sub(r"^[ \t]*>+", "", quote, flags=re.MULTILINE).split())
    return line if line.endswith("?") and len(line) <= 600 else ""


def _thoughts(text: str, run: list[Block]) -> tuple[Thought, ...]:
    """Blocks grouped; code and list items at the beginning that nothing leads into are left out
    and kept, in this order."""
    groups: list[list[Block]] = []
    for block in run:
        if groups and _belongs(text, groups[-1][-1], block):
            groups[-1].append(block)
        elif block.kind != "code":
            groups.append([block])
    return tuple(_thought(text, tuple(group)) for group in groups)


def _belongs(text: str, before: Block, block: Block) -> bool:
    """Whether `block` goes on with what `before` began."""
    leads = text[before.start : before.end].rstrip().endswith((":", ","))
    goes_on = text[block.start : block.end].lstrip()[:1].islower() and block.kind == "paragraph"
    return (
        block.kind == "code"
        or (block.kind == "item" and (leads or before.kind == "item"))
        or (leads and before.kind != "code")
        or goes_on
    )


def _thought(text: str, group: tuple[Block, ...]) -> Thought:
    start, end = group[0].start, group[-1].end
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Thought(start=start, end=end, blocks=group)
