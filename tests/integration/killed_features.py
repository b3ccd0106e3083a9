"""A features run that kills itself with SIGKILL: `python -m … HOME POINT`.

POINT is `never`, `embed:N` (when the embedder is called for the N-th time), `put:N` (after the N-th
batch was put), `relabel` (before what only moved is told so), `remove` (before anything is
removed), `publish` (before publishing), `rename` (before the new version gets its name) or
`replace` (before the pointer to the current version is swapped).
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llm_engineering.application import features
from llm_engineering.application.chunk import ChunkRule
from llm_engineering.bootstrap import open_app
from llm_engineering.settings import HashEmbedderSettings, Settings

CONFIG = features.FeaturesConfig(chunk=ChunkRule(max_tokens=40, min_tokens=4))


def settings(home: Path) -> Settings:
    embedder = HashEmbedderSettings(kind="hash", dimension=16)
    return Settings(home=home, progress="off", embedder=embedder)


def die_at(call: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """`real`, killed instead of its `call`-th call."""
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    return dying


class Doomed:
    """An index whose builds die at a point."""

    def __init__(self, index: Any, point: str) -> None:
        self._index = index
        self._point = point

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def build(self, *args: Any, **kwargs: Any) -> Any:
        build: Any = self._index.build(*args, **kwargs)
        name, _, number = self._point.partition(":")
        match name:
            case "put":
                build.put = die_at(int(number) + 1, build.put)
            case "relabel" | "remove" | "publish":
                setattr(build, name, die_at(1, getattr(build, name)))
            case "rename" | "replace":
                publish = build.publish

                def dying() -> str:
                    setattr(os, name, die_at(1, getattr(os, name)))
                    version: str = publish()
                    return version

                build.publish = dying
        return build


def main() -> None:
    home, point = Path(sys.argv[1]), sys.argv[2]
    features._EMBED_BATCH = 7
    with open_app(settings(home)) as app:
        if point.startswith("embed:"):
            app.embedder.embed = die_at(int(point[6:]), app.embedder.embed)  # type: ignore[method-assign]
        features.build_features(
            CONFIG,
            store=app.documents,
            index=Doomed(app.index, point),
            embedder=app.embedder,
            sparse=app.sparse,
            progress=app.progress,
        )


if __name__ == "__main__":
    main()
