"""Markdown as people keep it in files: YAML front matter, then the text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import yaml

from llm_engineering.domain.errors import SourceFailed
from llm_engineering.infrastructure.sources.reading.encodings import well_formed
from llm_engineering.infrastructure.sources.reading.language import detect_language, language_code
from llm_engineering.infrastructure.sources.reading.moments import moment

_FRONT_MATTER = re.compile(
    r"---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.M
)
_FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.DOTALL | re.M)
_HEADING = re.compile(
    r"^ {0,3}#{1,6}[ \t]+(?P<atx>[^\r\n]+?)(?:[ \t]+#+)?[ \t]*\r?$"
    r"|^(?P<setext>[^\s>#-][^\r\n]*)\r?\n {0,3}(?:=+|--+)[ \t]*\r?$"
    r"|<h1\b[^>]*>(?P<html>.*?)</h1>",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|<[^>]+>")
_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Note:
    """What a Markdown or text file holds. `text` is never empty, and exactly what was written."""

    text: str
    title: str | None
    published_at: datetime | None
    language: str | None
    tags: tuple[str, ...]
    url: str | None
    """Where it says that it is published, as written."""


def parse_markdown(text: str) -> Note:
    """Raises SourceFailed for broken front matter or when there is no text."""
    match = _FRONT_MATTER.match(text)
    fields = _fields(match.group(1)) if match else None
    body = text if match is None or fields is None else text[match.end() :].lstrip("\r\n")
    if not _WORD.search(body):
        raise SourceFailed("empty: there is no text in it")
    said = fields or {}
    title = _text(said.get("title")) or _first_heading(body)
    return Note(
        text=body,
        title=title,
        published_at=_date(said),
        language=language_code(_text(said.get("lang") or said.get("language")))
        or detect_language(body),
        tags=_tags(said.get("tags")),
        url=_text(said.get("canonical") or said.get("canonical_url") or said.get("url")),
    )


def _fields(front_matter: str) -> Mapping[str, object] | None:
    """The fields; None for text between two rules, which is no front matter."""
    try:
        loaded: object = yaml.safe_load(front_matter)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise SourceFailed(f"front matter, line {line}: {error.problem or 'not YAML'}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        detail = " ".join(str(error).split())
        raise SourceFailed(f"front matter, line 1: {detail}") from None
    match loaded:
        case dict():
            return {str(key).lower(): value for key, value in loaded.items()}
        case None:
            return {}
        case _:
            return None


def _date(fields: Mapping[str, object]) -> datetime | None:
    value = fields.get("date")
    at = moment(value)
    if value is not None and at is None:
        raise SourceFailed(f"front matter: date {str(value)!r} is not a date; write 2024-01-31")
    return at


def _tags(value: object) -> tuple[str, ...]:
    match value:
        case str():
            given: list[object] = list(value.split(","))
        case list():
            given = value
        case _:
            given = []
    return tuple(dict.fromkeys(tag for each in given if (tag := _text(each))))


def _text(value: object) -> str | None:
    """One line; None for nothing and for what is no scalar."""
    if value is None or isinstance(value, dict | list):
        return None
    return well_formed(" ".join(str(value).split())) or None


def _first_heading(body: str) -> str | None:
    match = _HEADING.search(_FENCED.sub("", body))
    if match is None:
        return None
    found = match["atx"] or match["setext"] or match["html"]
    return _text(_LINK.sub(lambda link: link.group(1) or "", found).replace("`", ""))
