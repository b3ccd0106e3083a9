"""HTML to Markdown that keeps what the author set: structure, code, and every character.

markdownify converts; corrected here is what it gets wrong for writing: blank lines at the edges of
code and fences no longer than a fence inside it, pipes in table cells, code tables with line
numbers, and escapes (only what Markdown would misread is escaped, so `snake_case` and `2 * 3` stay
as they are).
"""

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from markdownify import ATX, MarkdownConverter

from llm_engineering.domain.errors import SourceFailed
from llm_engineering.infrastructure.sources.reading.encodings import well_formed

_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_NOT_IN_CELLS = (*_HEADINGS, "pre", "blockquote", "hr", "table")
_FURNITURE = (
    "title, script, style, noscript, template, svg, iframe, object, embed, canvas, audio, video, "
    "button, input, select, textarea, nav, dialog, [hidden], [aria-hidden=true], "
    "[role=navigation], .headerlink, .linenos, .lineno, .linenodiv, .gutter, .rouge-gutter, .lnt, "
    "pre .ln"
)
_XML_DECLARATION = re.compile(r"\s*<\?xml[^>]*>")
_LANGUAGE = "data-code-language"
_LANGUAGE_CLASS = re.compile(
    r"(?:^|\s)(?:(?:language|lang|highlight-source|highlight)-|brush:\s*|sourceCode\s+)([\w+#.]+)"
)
_NO_LANGUAGE = frozenset({"default", "none", "plaintext", "text", "source", "notranslate"})
_PERMALINKS = frozenset({"", "¶", "§", "🔗"})
_ORDINALS = frozenset({"st", "nd", "rd", "th", "tm"})
_LINE_START = re.compile(r"^([ \t]*)(#{1,6}[ \t]|[-+][ \t]|>)", re.MULTILINE)
_NUMBER_START = re.compile(r"^([ \t]*\d{1,9})([.)][ \t])", re.MULTILINE)
_BACKSLASH = re.compile(r"\\(?=[!-/:-@\[-`{-~])")
"""One that Markdown would read as an escape."""
_TAG_LIKE = re.compile(r"<(?=[A-Za-z/!?])")
_STAR = re.compile(r"\*(?=\S)|(?<=\S)\*")
_UNDERSCORES = re.compile(r"(?<![^\W_])_+(?=\S)|(?<=\S)_+(?![^\W_])")
_FENCE = re.compile(r"^[ \t]*(`{3,})", re.MULTILINE)


def parse_html(html: str) -> BeautifulSoup:
    """Any text as a tree; Beautiful Soup would warn of XHTML and of text that looks like a path."""
    text = _XML_DECLARATION.sub("", well_formed(html), count=1)
    return BeautifulSoup(text + "<!-- -->", "lxml")


def fragment_to_markdown(html: str, *, url: str) -> str:
    """Markdown of a piece of HTML whose links are relative to `url`; '' without any text.

    Raises SourceFailed for markup nested too deeply to be walked.
    """
    soup = parse_html(html)
    prepare(soup, url=url)
    return to_markdown(soup)


def to_markdown(tree: Tag) -> str:
    """Markdown of a prepared tree. Raises SourceFailed for markup nested too deeply."""
    converter = _Converter(
        heading_style=ATX,
        bullets="-",
        table_infer_header=True,
        wrap=True,
        wrap_width=None,
    )
    try:
        return converter.convert_soup(tree).strip("\n")
    except RecursionError:
        raise SourceFailed("its HTML is nested too deeply") from None


def prepare(tree: Tag, *, url: str) -> None:
    """Drop what is never text, make links absolute, note code languages; changes `tree`."""
    for furniture in tree.select(_FURNITURE):
        furniture.decompose()
    for pre in tree.find_all("pre"):
        _prepare_code(pre)
    for table in tree.find_all("table"):
        if table.find(_NOT_IN_CELLS):
            _unfold(table)
    for link in tree.find_all("a"):
        _prepare_link(link, url)
    for image in tree.find_all("img"):
        if str(image.get("alt") or "").strip():
            _absolute(image, "src", url)
        else:
            image.decompose()


def _absolute(tag: Tag, attribute: str, url: str) -> None:
    """A link that leads nowhere outside the page (script, broken address) becomes plain text."""
    target = str(tag.get(attribute) or "").strip()
    try:
        absolute = urljoin(url, target)
        leads = urlsplit(absolute).scheme in {"http", "https", "mailto", "file", ""}
    except ValueError:
        leads = False
    if not target or not leads:
        tag.unwrap() if tag.name == "a" else tag.replace_with(str(tag.get("alt") or ""))
        return
    tag[attribute] = absolute.replace(" ", "%20").replace("(", "%28").replace(")", "%29")


def _prepare_link(link: Tag, url: str) -> None:
    text = link.get_text().strip()
    heading = link.find_parent(_HEADINGS)
    if (text in _PERMALINKS or (heading and text == "#")) and link.find("img") is None:
        link.decompose()
        return
    if heading and str(link.get("href") or "").startswith("#"):
        link.unwrap()
        return
    _absolute(link, "href", url)


def _prepare_code(pre: Tag) -> None:
    """Note the language and lift the code out of the table that held its line numbers."""
    language = next((found for tag in _around(pre) if (found := _language(tag))), None)
    if language is not None:
        pre[_LANGUAGE] = language
    for line_break in pre.find_all("br"):
        line_break.replace_with("\n")
    table = pre.find_parent("table")
    if table is not None and table.get_text().strip() == pre.get_text().strip():
        table.replace_with(pre)


def _unfold(table: Tag) -> None:
    """Make a table that only lays out the page into what it holds."""
    for part in [table, *table.find_all(["thead", "tbody", "tfoot", "tr", "td", "th"])]:
        part.name = "div"


def _around(pre: Tag) -> list[Tag]:
    parents = [parent for parent in pre.parents if parent.name not in {"body", "html"}]
    return [*pre.find_all("code", limit=1), pre, *parents[:3]]


def _language(tag: Tag) -> str | None:
    named = tag.get("data-lang") or tag.get("data-language")
    classes = " ".join(name for name in tag.get_attribute_list("class") if name)
    match = _LANGUAGE_CLASS.search(classes)
    language = str(named or (match.group(1) if match else "")).lower()
    return None if not language or language in _NO_LANGUAGE else language


class _Converter(MarkdownConverter):
    """markdownify with the corrections that the module names; its stub hides what it overrides."""

    def escape(self, text: str, _parent_tags: set[str]) -> str:
        text = _BACKSLASH.sub(r"\\\\", text)
        text = _TAG_LIKE.sub(r"\\<", text.replace("`", "\\`"))
        text = _STAR.sub(r"\\*", text)
        return _UNDERSCORES.sub(lambda run: "\\_" * len(run.group()), text)

    def convert_hN(self, n: int, el: Tag, text: str, parent_tags: set[str]) -> str:  # noqa: N802
        inherited: Any = super()
        return str(inherited.convert_hN(n, el, text, parent_tags)) if text.strip() else ""

    def convert_p(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        inherited: Any = super()
        text = _NUMBER_START.sub(r"\1\\\2", _LINE_START.sub(r"\1\\\2", text))
        return str(inherited.convert_p(el, text, parent_tags))

    def convert_pre(self, el: Tag, text: str, parent_tags: set[str]) -> str:  # noqa: ARG002
        code = text.removeprefix("\n").removesuffix("\n")
        if not code.strip():
            return ""
        fence = "`" * (max((len(run) for run in _FENCE.findall(code)), default=2) + 1)
        return f"\n\n{fence}{el.get(_LANGUAGE, '')}\n{code}\n{fence}\n\n"

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        inherited: Any = super()
        return str(inherited.convert_td(el, text.replace("|", "\\|"), parent_tags))

    def convert_th(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        inherited: Any = super()
        return str(inherited.convert_th(el, text.replace("|", "\\|"), parent_tags))

    def convert_sup(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        plain = text.strip()
        if not plain or plain.lower() in _ORDINALS or el.find("a") or "_noformat" in parent_tags:
            return text
        return f"^{plain}" if plain.isalnum() else f"^({plain})"
