"""A process that builds an embedded index, and may die on the way.

`python -m tests.integration.index_builder FOLDER [POINT | hold]`: brings the index in FOLDER in
line with WANTED. With a POINT it kills itself there, as `kill -9` would; with `hold` it stops
between putting and publishing until its input is closed.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llm_engineering.domain.chunks import IndexEntry
from llm_engineering.domain.vectors import EmbeddedChunk
from llm_engineering.infrastructure import (
    generations,
    qdrant_edge_build,
    qdrant_edge_write,
    staged_changes,
    window_rows,
)
from llm_engineering.infrastructure.generations import Generations
from llm_engineering.infrastructure.qdrant_edge import EdgeVectorIndex
from llm_engineering.ports.stores import VectorIndex
from tests.contract.indexed_chunks import MANIFEST, embedded, entry, linked


def chunk(number: int, *, title: str = "old") -> EmbeddedChunk:
    vector = [1.0, number / 10, (number % 7) / 3, 0.5]
    terms = {number % 5: 1.0, 10 + number: 2.0}
    return embedded(entry(f"n{number:02}", sentences=2, title=title), vector, terms)


BEFORE = [chunk(number) for number in range(40)]
"""What the version before holds."""

WANTED = [
    *(chunk(number) for number in range(20)),
    *(chunk(number, title="new") for number in range(20, 28)),
    linked(entry("n28"), to=entry("n00")),
    *(chunk(number) for number in range(40, 60)),
]


def bring_in_line(index: VectorIndex, *, pause: Callable[[], object] = lambda: None) -> None:
    """Publish WANTED, doing only what the build does not hold yet."""
    build = index.build(MANIFEST)
    held = {each.chunk.id: each for each in build.entries()}
    wanted = {each.entry.chunk.id: each for each in WANTED}
    lacking = [each for key, each in wanted.items() if not _ranked_alike(held.get(key), each.entry)]
    build.put(lacking[:12])
    build.put(lacking[12:])
    build.relabel([each.entry for key, each in wanted.items() if held.get(key) != each.entry])
    build.remove([key for key in held if key not in wanted])
    pause()
    build.publish() if build.dirty() else build.discard()
    build.release()


def _ranked_alike(held: IndexEntry | None, wanted: IndexEntry) -> bool:
    return held is not None and (held.duplicate_of is None) == (wanted.duplicate_of is None)


def dying(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_at(call: int, original: Callable[..., Any]) -> Callable[..., Any]:
    """`original`, of which the given call (1: the first) is not survived."""
    calls = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            dying()
        return original(*args, **kwargs)

    return counted


def dying_after(original: Callable[..., Any]) -> Callable[..., Any]:
    def last(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        dying()

    return last


POINTS: dict[str, tuple[object, str, Callable[[Any], Callable[..., Any]]]] = {
    "before anything is staged": (staged_changes.StagedChanges, "create", dying_after),
    "in a put": (staged_changes, "_vector_rows", lambda rows: dying_at(5, rows)),
    "between puts": (staged_changes.StagedChanges, "put", lambda put: dying_at(2, put)),
    "after the last change": (staged_changes.StagedChanges, "remove", dying_after),
    "in the copy": (generations, "_copy_file", lambda copy: dying_at(9, copy)),
    "after the copy": (qdrant_edge_write, "copy_tree", dying_after),
    "while changes are applied": (qdrant_edge_write, "_points", lambda points: dying_at(9, points)),
    "before it is optimised": (window_rows.RowWriter, "close", dying_after),
    "before it is made durable": (qdrant_edge_write.Draft, "finish", dying_after),
    "before it is renamed": (generations, "_sync", lambda sync: dying_at(30, sync)),
    "between rename and pointer": (Generations, "_point_to", lambda _: dying),
}
"""Where a builder dies while the version before is still current: the owner, the name, and what
takes the place of what has that name."""

LATE_POINTS: dict[str, tuple[object, str, Callable[[Any], Callable[..., Any]]]] = {
    "after the pointer": (Generations, "_point_to", dying_after),
    "before the changes are dropped": (qdrant_edge_build.EdgeIndexBuild, "_drop", lambda _: dying),
    "while the changes are dropped": (shutil, "rmtree", lambda rm: dying_at(4, rm)),
}
"""Where it dies when the new version is current already."""


def hold() -> None:
    sys.stdout.write("holding\n")
    sys.stdout.flush()
    sys.stdin.read()


def main(folder: str, point: str = "") -> None:
    index = EdgeVectorIndex(Path(folder))
    if point == "hold":
        bring_in_line(index, pause=hold)
    else:
        if point:
            owner, name, replaced = (POINTS | LATE_POINTS)[point]
            setattr(owner, name, replaced(getattr(owner, name)))
        bring_in_line(index)
    index.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
