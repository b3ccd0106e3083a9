"""Whether a pipeline works in a home, told by a lock: one that was killed holds none.

Does not know: which pipeline it is, how to end it.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from llm_engineering.domain.errors import BackendUnavailable, InvalidInput

LOCK = Path("run", "pipelines.lock")


@contextmanager
def at_work(home: Path) -> Iterator[None]:
    """Work in `home`, beside others that do. Raises BackendUnavailable when it refuses."""
    with _opened(home) as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Keep pipelines out of `home`. Raises InvalidInput when one works there."""
    with _opened(home) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(
                f"a pipeline is running in {home}; wait until it has ended, or end it with Ctrl-C "
                "where it was started"
            ) from None
        yield


def _opened(home: Path) -> TextIO:
    path = home / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a")
    except OSError as error:
        raise BackendUnavailable(
            f"cannot write {path}: {error.strerror}; set TWIN_HOME to a folder of yours"
        ) from None
