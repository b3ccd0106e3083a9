"""Documents as rows of SQLite, and filters as its conditions.

Does not know: connections, revisions.
"""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from llm_engineering.domain.documents import Document, DocumentFilter, DocumentHead
from llm_engineering.domain.revisions import MOMENTS, microseconds

_VALUES_PUSHED = 5_000
"""SQLite takes 32,766 values in one statement; a longer list is compared here instead."""

HEAD = (
    "id, author_id, author, url, title, kind, source, language, published_at, tags, content_hash,"
    " etag, last_modified, fetched_at, revision, deleted_at"
)
FIELDS = tuple(HEAD.split(", "))


def condition_of(where: DocumentFilter) -> tuple[str, list[object], bool]:
    """SQL for `where`, its values, and whether it says all of `where`."""
    conditions, given, exact = ["deleted_at IS NULL"], list[object](), True
    fields: tuple[tuple[str, Sequence[str]], ...] = (
        ("author IN ({})", where.authors),
        ("kind IN ({})", where.kinds),
        ("source IN ({})", where.sources),
        ("language IN ({})", where.languages),
        ("id IN (SELECT id FROM tags WHERE tag IN ({}))", where.tags),
    )
    for condition, values in fields:
        if len(values) > _VALUES_PUSHED:
            exact = False
        elif values:
            conditions.append(condition.format(marks(values)))
            given += values
    for condition, limit in (
        ("published_us >= ?", where.published_from),
        ("published_us < ?", where.published_before),
    ):
        if limit is not None:
            conditions.append(condition)
            given.append(microseconds(limit))
    return " AND ".join(conditions), given, exact


def to_row(document: Document) -> list[object]:
    values: dict[str, Any] = {name: getattr(document, name) for name in FIELDS}
    values["tags"] = json.dumps(document.tags)
    for name in MOMENTS:
        values[name] = values[name] and values[name].isoformat()
    at = document.published_at
    return [*values.values(), None if at is None else microseconds(at)]


def to_head(row: Sequence[Any]) -> DocumentHead:
    try:
        values = dict(zip(FIELDS, row, strict=True))
        values["tags"] = tuple(json.loads(values["tags"]))
        for name in MOMENTS:
            values[name] = values[name] and datetime.fromisoformat(values[name])
        return DocumentHead.model_validate(values)
    except (TypeError, ValueError) as error:
        raise sqlite3.DataError(f"document {row[0]!r} cannot be read") from error


def to_document(row: Sequence[Any]) -> Document:
    return Document(**dict(to_head(row[:-1])), text=row[-1])


def marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
