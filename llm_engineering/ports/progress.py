"""How long work tells how far it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

Advance = Callable[[int], None]
"""Called with the number of items finished since the last call."""


class Progress(Protocol):
    """Shows stages; where it shows them is the adapter's business."""

    def stage(self, name: str, *, total: int | None = None) -> AbstractContextManager[Advance]:
        """Open a stage of `total` items (None: unknown) and close it on exit."""
        ...
