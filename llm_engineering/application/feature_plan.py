"""What a features run has to do: the difference between the index and the documents.

Pure: entries and hashes in, plan out. Does not know: stores, models, engines.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from llm_engineering.application.near_duplicates import link_duplicates
from llm_engineering.domain.chunks import IndexEntry


@dataclass(frozen=True)
class Changes:
    kept: tuple[IndexEntry, ...]
    """Entries of documents that are as they were."""
    stale: tuple[str, ...]
    """Ids of documents that are new, changed, or were only partly indexed."""
    known: frozenset[str]
    """Ids of documents that the index holds something of."""
    unchanged: int
    removed: int


def compare(held: Mapping[str, IndexEntry], hashes: Mapping[str, str]) -> Changes:
    by_document: dict[str, list[IndexEntry]] = defaultdict(list)
    for entry in held.values():
        by_document[entry.chunk.document.id].append(entry)
    kept = {
        key: entries
        for key, entries in by_document.items()
        if {e.content_hash for e in entries} == {hashes.get(key)}
        and len(entries) == entries[0].siblings
    }
    return Changes(
        kept=tuple(entry for entries in kept.values() for entry in entries),
        stale=tuple(key for key in hashes if key not in kept),
        known=frozenset(by_document),
        unchanged=len(kept),
        removed=len(by_document.keys() - hashes.keys()),
    )


def linked(entries: Sequence[IndexEntry]) -> list[IndexEntry]:
    """The entries with near-duplicates linked to the earliest published of their kind."""

    def precedence(entry: IndexEntry) -> tuple[datetime, str, int]:
        document = entry.chunk.document
        at = document.published_at or datetime.max.replace(tzinfo=UTC)
        return at, document.id, entry.chunk.start

    ordered = sorted(entries, key=precedence)
    links: dict[str, str] = {}
    for alike in _grouped(ordered):
        links |= link_duplicates(
            [entry.chunk.id for entry in alike],
            texts={entry.chunk.id: entry.chunk.text for entry in alike},
            signatures={entry.chunk.id: entry.signature for entry in alike},
        )
    return [
        entry
        if entry.duplicate_of == links.get(entry.chunk.id)
        else entry.model_copy(update={"duplicate_of": links.get(entry.chunk.id)})
        for entry in ordered
    ]


def _grouped(entries: Sequence[IndexEntry]) -> list[list[IndexEntry]]:
    """Entries that a filter finds together: a copy elsewhere must be found by its own filter.

    Dates do not divide: a text that was posted again belongs to the day it was first posted.
    """
    groups: dict[tuple[object, ...], list[IndexEntry]] = defaultdict(list)
    for entry in entries:
        of = entry.chunk.document
        key = of.author_id, of.source, of.kind, of.language, frozenset(of.tags)
        groups[key].append(entry)
    return list(groups.values())


@dataclass(frozen=True)
class Plan:
    """The difference between what a build holds and what it should hold."""

    embed: tuple[IndexEntry, ...]
    link: tuple[IndexEntry, ...]
    relabel: tuple[IndexEntry, ...]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.embed or self.link or self.relabel or self.remove)


def plan(held: Mapping[str, IndexEntry], wanted: Sequence[IndexEntry]) -> Plan:
    embed, link, relabel = [], [], []
    for entry in wanted:
        old = held.get(entry.chunk.id)
        if old == entry:
            continue
        if entry.duplicate_of is not None:
            link.append(entry)
        elif old is not None and _encoded_alike(old, entry):
            relabel.append(entry)
        else:
            embed.append(entry)
    return Plan(
        embed=tuple(sorted(embed, key=lambda entry: (entry.chunk.document.id, entry.chunk.start))),
        link=tuple(link),
        relabel=tuple(relabel),
        remove=tuple(held.keys() - {entry.chunk.id for entry in wanted}),
    )


def _encoded_alike(old: IndexEntry, new: IndexEntry) -> bool:
    """Whether two entries of one chunk id have the same vectors."""
    return (old.duplicate_of, old.fingerprint) == (new.duplicate_of, new.fingerprint)
