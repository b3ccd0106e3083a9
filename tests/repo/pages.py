"""The project's Markdown pages, taken apart for the tests that hold them to the code."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)

_ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=")


@dataclass(frozen=True, slots=True)
class Page:
    """What a page links to, shows and names."""

    text: str
    links: tuple[str, ...]
    anchors: frozenset[str]
    fences: tuple[tuple[str, str], ...]
    """(language, content)."""
    code: tuple[str, ...]
    """Inline code."""


def read_page(path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    return Page(
        text=text,
        links=tuple(_target(token) for token in inline if token.type in ("link_open", "image")),
        anchors=frozenset(
            _anchor(tokens[at + 1].content)
            for at, token in enumerate(tokens)
            if token.type == "heading_open"
        ),
        fences=tuple((t.info.strip(), t.content) for t in tokens if t.type == "fence"),
        code=tuple(token.content for token in inline if token.type == "code_inline"),
    )


def shell_commands(page: Page) -> Iterator[list[str]]:
    """Words of every command in shell blocks and inline code, settings before it left out."""
    lines = [
        line.removeprefix("$ ")
        for language, content in page.fences
        if language in ("bash", "sh") or (language == "console" and "$ " in content)
        for line in content.replace("\\\n", " ").splitlines()
        if language != "console" or line.startswith("$ ")
    ]
    lines += [code for code in page.code if code.startswith(("twin ", "make "))]
    for line in lines:
        yield from _commands(line)


def assignments(page: Page) -> Iterator[dict[str, str]]:
    """`NAME=value` at the beginning of lines, together for each shell block."""
    for language, content in page.fences:
        if language == "bash":
            lines = content.replace("\\\n", " ").splitlines()
            words = (word for line in lines for word in _leading_assignments(line))
            yield {name: value for name, _, value in (word.partition("=") for word in words)}


def _commands(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in ("|", "||", "&&", ";", "&"):
            if words:
                yield words
            words = []
        elif words or not _ASSIGNMENT.match(word):
            words.append(word)


def _leading_assignments(line: str) -> Iterator[str]:
    return takewhile(_ASSIGNMENT.match, shlex.split(line, comments=True))


def _target(token: Token) -> str:
    return str(token.attrs["href" if token.type == "link_open" else "src"])


def _anchor(title: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
