"""Files that are there whole or not at all, also when the power fails.

Does not know: what is in them.
"""

import os
from pathlib import Path


def write_durably(path: Path, text: str) -> None:
    """Replace `path` atomically; when it returns, the disk has it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    sync(fresh)
    fresh.replace(path)
    sync(path.parent)


def sync_tree(folder: Path) -> None:
    """Make a folder with all of its files durable."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
