"""Prompts from a document's own structure: title, heading, question, opening, the terms it uses.

Does not know: which splits there are, what a teacher would ask.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm_engineering.application.datasets.outline import plain
from llm_engineering.application.datasets.spans import Candidate, Level
from llm_engineering.application.rag.prompts import (
    BEGINNING_WORDINGS,
    HEADING_WORDINGS,
    OPENING_WORDINGS,
    QUESTION_UNDER_TITLE_WORDINGS,
    QUESTION_WORDINGS,
    SIZES,
    TERMS_WORDINGS,
    TITLE_WORDINGS,
)
from llm_engineering.domain.documents import Document
from llm_engineering.domain.samples import PromptForm

_MAX_OPENING = 700
_MAX_TERMS, _MIN_TERMS = 4, 2
_LONGEST_CODE = 40
_LAST_CHOICE = {PromptForm.QUESTION: -1, PromptForm.OPENING: 1}
"""A question that was really asked is always kept; every span has an opening, so that half of
those are left out where something else asks for the span as well."""
_MIN_REST = 100
"""Characters of a target behind its given first sentence."""
_ASKS = re.compile(r"how to\b", re.IGNORECASE)
"""An English heading that asks without a question mark; "Why it is so" would not be asked so."""
_TERM = re.compile(
    r"`+(?P<code>[^`\n]+)`+"
    r"|\[(?P<link>[^\]\n`]{3,50})\]\("
    r"|(?<![\w/.])(?P<before>[\w'’-]+[,;]? )(?P<name>[A-Z][\w+-]*(?: (?:[A-Z]\.|[A-Z][\w.+-]*\w))*)"
)
_DATES = re.compile(
    r"(?:jan|febr)uary|march|april|may|june|july|august|(?:septem|octo|novem|decem)ber"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day",
    re.IGNORECASE,
)
_POINTS_NOWHERE = re.compile(
    r"(?:this|that|here|these|those|the|my|a|an|it|in|on|see|docs?|documentation|link|issue|commit"
    r"|pr|pull request|comment|release|version|v?\d)\b",
    re.IGNORECASE,
)
"""Link texts that mean nothing without their link."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An instruction and the span [start, end) that answers it."""

    form: PromptForm
    instruction: str
    start: int
    end: int


def structural_prompts(
    document: Document, candidate: Candidate, *, forms: int, min_characters: int
) -> list[Asked]:
    """At most `forms` ways to ask for a candidate; () when its document gives it no name.

    Which wordings, and which forms where there are more, depends on the span alone.
    """
    key = f"{document.id}:{candidate.start}:{candidate.end}"
    found = [
        asked
        for form, wordings, start, fields in _forms(document, candidate)
        if candidate.end - start >= min(_MIN_REST, min_characters)
        for asked in [_asked(document, candidate, form, wordings, start, fields, key)]
    ]
    ordered = sorted(
        found, key=lambda each: (_LAST_CHOICE.get(each.form, 0), _hash(key, each.form))
    )
    if len(ordered) > 1 and ordered[-1].form is PromptForm.OPENING and _hash(key) % 2:
        ordered.pop()
    return ordered[:forms]


def _forms(
    document: Document, candidate: Candidate
) -> Iterator[tuple[PromptForm, Sequence[str], int, dict[str, str]]]:
    """(form, wordings, where the target starts, what else the wordings hold)."""
    title, path = plain(document.title), candidate.heading_path
    text = document.text[candidate.start : candidate.end]
    named = candidate.level is Level.SECTION and bool(path)
    if question := _question(candidate, title):
        below = named and bool(path) and not candidate.question
        wordings = QUESTION_UNDER_TITLE_WORDINGS if below else QUESTION_WORDINGS
        yield PromptForm.QUESTION, wordings, candidate.start, {"question": question}
    if candidate.level is Level.DOCUMENT:
        yield PromptForm.TITLE, TITLE_WORDINGS, candidate.start, {}
    elif candidate.begins:
        yield PromptForm.TITLE, BEGINNING_WORDINGS, candidate.start, {}
    if named:
        yield PromptForm.HEADING, HEADING_WORDINGS, candidate.start, {"heading": path[-1]}
    terms = _terms(text, besides=f"{title} {' '.join(path)}")
    if candidate.stands and len(terms) >= _MIN_TERMS:
        yield PromptForm.TERMS, TERMS_WORDINGS, candidate.start, {"terms": _listed(terms)}
    yield from _openings(document, candidate)


def _openings(
    document: Document, candidate: Candidate
) -> Iterator[tuple[PromptForm, Sequence[str], int, dict[str, str]]]:
    """The thought before the target, or its own first sentence: never what reads as a whole."""
    if candidate.before is not None:
        start, end = candidate.before
        opening = document.text[start:end].strip()
        if len(opening) <= _MAX_OPENING:
            yield PromptForm.OPENING, OPENING_WORDINGS, candidate.start, {"opening": opening}
    elif candidate.first_sentence is not None:
        opening = document.text[candidate.start : candidate.first_sentence].strip()
        rest = candidate.first_sentence
        while document.text[rest : rest + 1].isspace():
            rest += 1
        if len(opening) <= _MAX_OPENING:
            yield PromptForm.OPENING, OPENING_WORDINGS, rest, {"opening": opening}


def _asked(
    document: Document,
    candidate: Candidate,
    form: PromptForm,
    wordings: Sequence[str],
    start: int,
    fields: dict[str, str],
    key: str,
) -> Asked:
    title = plain(document.title)
    path = candidate.heading_path
    topic = f"“{path[-1]}” in “{title}”" if path else f"“{title}”"
    words = len(document.text[start : candidate.end].split())
    wording = wordings[_hash(key, form, "wording") % len(wordings)]
    said = {
        "kind": document.kind.value,
        "title": title,
        "topic": topic,
        "words": str(_rounded(words)),
        "size": _size(document.text[start : candidate.end]),
        **fields,
    }
    return Asked(form, wording.format_map(said), start, candidate.end)


def _question(candidate: Candidate, title: str) -> str:
    """That the span answers; '' when nobody asked."""
    if candidate.question:
        return candidate.question
    heading = ""
    if candidate.level is Level.DOCUMENT:
        heading = title
    elif candidate.level is Level.SECTION and candidate.heading_path:
        heading = candidate.heading_path[-1]
    if heading.endswith("?"):
        return heading
    return f"{heading}?" if _ASKS.match(heading) and len(heading.split()) > 2 else ""


def _terms(text: str, *, besides: str) -> list[str]:
    """Code, link texts and names of the span in its order; not those that the topic names."""
    bare = _without_code(text)
    small = set(re.findall(r"\b[^\W\d_]+\b", bare)) - set(re.findall(r"\b[A-Z]\w*\b", bare))
    known = besides.casefold()
    found: dict[str, str] = {}
    for match in _TERM.finditer(bare):
        term = _term(match)
        folded = term.strip("`").casefold()
        if term and folded not in known and folded not in small:
            found.setdefault(folded, term)
    distinct = [
        term for key, term in found.items() if not any(key in other != key for other in found)
    ]
    return distinct[:_MAX_TERMS]


def _term(match: re.Match[str]) -> str:
    """'' for what is too long, or means nothing by itself."""
    code, link, name = match["code"], match["link"], match["name"]
    if code:
        return f"`{code}`" if 2 < len(code) <= _LONGEST_CODE and code == code.strip() else ""
    if link:
        text = " ".join(link.split())
        pointless = _POINTS_NOWHERE.match(text) or "://" in text or not text[:1].isupper()
        return "" if pointless else text
    if match["before"][:1].isupper() or len(name) < 3 or _DATES.match(name):
        return ""  # the second half of a name, or of a sentence's first words
    return name


def _without_code(text: str) -> str:
    return re.sub(r"^(?:```|~~~).*?^(?:```|~~~)|^ {4}.*$", "", text, flags=re.DOTALL | re.MULTILINE)


def _listed(terms: Sequence[str]) -> str:
    *most, last = terms
    return f"{', '.join(most)} and {last}" if most else last


def _size(text: str) -> str:
    return SIZES["paragraphs" if "\n\n" in text else "paragraph"]


def _rounded(words: int) -> int:
    step = 10 if words < 100 else 50
    return max(step, round(words / step) * step)


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:6])
