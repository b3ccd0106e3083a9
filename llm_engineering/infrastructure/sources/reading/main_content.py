"""Which part of a page is the author's text.

trafilatura decides; its verdict is applied to the page's own tree, because its output loses
structure. Measured with trafilatura 2.3.1 on blog, documentation and generated HTML: its Markdown
drops blank lines in code, code languages, quote markers, definition lists and every paragraph
break inside a list item, and it breaks fences inside lists; its HTML turns ordered lists into
bullets and inline code into blocks; its XML keeps lists, but neither code languages nor the
difference between inline code and a block; all three leave out figures (and the listings in
them), most definition lists and many headings. The *words* it does select are right and in page
order. So the text of the page is aligned with them; the element that holds nearly all of them is
the main one; and of that everything is kept but furniture and what precedes or follows the words.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from bs4 import Tag
from bs4.element import NavigableString, PreformattedString

HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})

_BLOCK = re.compile(
    "address|article|aside|blockquote|body|caption|center|d[dlt]|details|div|fieldset|figcaption|"
    "figure|footer|form|h[1-6]|header|html|li|main|[ou]l|p|pre|section|summary|table|tbody|t[dhr]|"
    "tfoot|thead"
)
_PIECES = frozenset({"li", "dt", "dd", "td", "th"})
"""Each is kept when another one of the same list or table is."""
_ASIDES = frozenset({"aside", "footer", "form", "header"})
_FURNITURE_WORD = re.compile(
    r"ads?|advert(isement)?|banner|bio|breadcrumbs?|byline|comments?|consent|cookies?|disqus|meta|"
    r"nav|newsletter|pager|pagination|popup|promo|recommended|related|shar(e|ing)|sidebar|signup|"
    r"skip|social|subscribe|tags|toc"
)
_MOST_WORDS = 3
"""A class name of more words is not the name of furniture, nor an id of more than one: headings
give theirs to the sections below, such as `related-work`."""
_LONG = 24
"""Letters and digits from which a text is recognised wherever it occurs."""
_PROSE = 160
"""Letters and digits from which a text before or after the selected words is no byline."""
_NEARLY_ALL = 0.9
"""Share of the main words that the main element holds; a page repeats some in its menus."""
_FEW = 200
"""Letters and digits up to which the words are too few to be mistaken for one another."""
_NOT_LETTERS = re.compile(r"[^a-z]+")
_NOT_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class _Run:
    """Text directly in `block`, up to the next block inside or after it."""

    block: Tag
    strings: tuple[NavigableString, ...]
    words: str
    """Letters and digits only, so that white space and markup do not matter."""


def main_content(tree: Tag, main_text: str) -> Tag:
    """The element of `tree` that holds `main_text`, with furniture pruned; changes `tree`."""
    words = _words(main_text)
    runs = list(_runs(tree))
    found = _aligned(runs, words)
    root = _main_element(tree, [run for run in found if not _is_linked(run)] or found)
    inside = [run for run in runs if run.block is root or root in run.block.parents]
    kept = _aligned(inside, words)
    if not kept:
        return root
    chosen = {id(run) for run in kept}
    groups = {id(_group(run.block)) for run in kept if run.block.name in _PIECES}
    first, last = inside.index(kept[0]), inside.index(kept[-1])
    for i, run in enumerate(inside):
        heads_chosen = i + 1 < len(inside) and id(inside[i + 1]) in chosen
        if id(run) in chosen or _belongs(run, groups, heads_chosen=heads_chosen):
            continue
        within = first < i < last or len(run.words) >= _PROSE
        if not within or _is_furniture(run, root):
            _drop(run)
    return root


def _main_element(tree: Tag, kept: Sequence[_Run]) -> Tag:
    """The innermost element with nearly all words of `kept`."""
    weights: dict[int, int] = {}
    for run in kept:
        for tag in (run.block, *run.block.parents):
            weights[id(tag)] = weights.get(id(tag), 0) + len(run.words)
    enough = _NEARLY_ALL * sum(len(run.words) for run in kept)
    root = tree
    while kept:
        inner = (tag for tag in root.find_all(True, recursive=False))
        heavy = next((tag for tag in inner if weights.get(id(tag), 0) >= enough), None)
        if heavy is None:
            break
        root = heavy
    return root


def _belongs(run: _Run, groups: set[int], *, heads_chosen: bool) -> bool:
    """Whether text that was not selected is part of the structure around what was."""
    if run.block.name in HEADINGS:
        return heads_chosen
    return run.block.name in _PIECES and id(_group(run.block)) in groups


def _group(piece: Tag) -> Tag | None:
    return piece.find_parent(["ul", "ol", "dl", "table"])


def _is_furniture(run: _Run, root: Tag) -> bool:
    if _is_linked(run):
        return True
    for tag in (run.block, *run.block.parents):
        if tag is root:
            return False
        if tag.name in _ASIDES or _has_furniture_name(tag):
            return True
    return False


def _is_linked(run: _Run) -> bool:
    """Whether most of it is links, as in menus, which repeat the headings of a page."""
    linked = sum(len(_words(each)) for each in run.strings if each.find_parent("a"))
    return linked > len(run.words) / 2


def _has_furniture_name(tag: Tag) -> bool:
    for attribute, most in (("class", _MOST_WORDS), ("id", 1)):
        for name in tag.get_attribute_list(attribute):
            words = _NOT_LETTERS.split((name or "").lower())
            if len(words) <= most and any(map(_FURNITURE_WORD.fullmatch, words)):
                return True
    return False


def _drop(run: _Run) -> None:
    for string in run.strings:
        string.extract()
    if not run.block.get_text(strip=True):
        run.block.clear()


def _runs(tree: Tag) -> Iterator[_Run]:
    strings = (
        (_block(each), each)
        for each in tree.descendants
        if isinstance(each, NavigableString) and not isinstance(each, PreformattedString)
    )
    for _, group in groupby(strings, key=lambda pair: id(pair[0])):
        pairs = list(group)
        words = _words("".join(string for _, string in pairs))
        if words:
            yield _Run(pairs[0][0], tuple(string for _, string in pairs), words)


def _block(string: NavigableString) -> Tag:
    """The block that a string is in; a code block is one, whatever is inside it."""
    blocks = [tag for tag in string.parents if _BLOCK.fullmatch(tag.name) or tag.parent is None]
    return next((tag for tag in blocks if tag.name == "pre"), blocks[0])


def _aligned(runs: Iterable[_Run], words: str) -> list[_Run]:
    """The runs that occur in `words`, which is walked along in page order.

    A short run counts only exactly where the last one ended: 'Share' is also part of a sentence.
    """
    long = _LONG if len(words) > _FEW else 1
    kept = []
    at = 0
    for run in runs:
        if words.startswith(run.words, at):
            at += len(run.words)
            kept.append(run)
        elif len(run.words) >= long:
            found = _end(run.words, words, at)
            if found is not None:
                at = max(at, found)
                kept.append(run)
    return kept


def _end(run: str, words: str, at: int) -> int | None:
    """Where `run` ends in `words`, looked for after `at` first.

    Its last or first letters are enough: trafilatura drops footnote marks and the like from the
    middle of a paragraph.
    """
    for start in (at, 0):
        for piece in (run, run[-_LONG:], run[:_LONG]):
            if (found := words.find(piece, start)) >= 0:
                return found + len(piece)
    return None


def _words(text: str) -> str:
    return _NOT_WORDS.sub("", text)
