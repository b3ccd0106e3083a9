"""The dense windows beside the gate, as rows of files.

    windows/places.npz     where the rows of each chunk stand
    windows/0.rows, …      per sentence its windows, one after the other, in half precision

Nothing searches these windows as a whole: they score again what the gate found, so a place and a
product are all that an engine could add. Files do not change once they are written. A version
shares those of the version before and adds one; when many, or many dead rows, have come together,
they are written anew as one.

Does not know: which sentences may be ranked.
"""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.chunks import MAX_SENTENCES

WINDOWS = "windows"
_PLACES = "places.npz"
_MOST_FILES = 8
_KEY = 16
"""Bytes of an id."""

Halves = NDArray[np.float16]
Place = tuple[int, int, int]
"""File, first row in it, number of rows."""


@dataclass(frozen=True)
class WindowRows:
    """Those of one version, open for reading."""

    names: tuple[str, ...]
    ids: NDArray[np.bytes_]
    """Of the chunks, ascending."""
    places: NDArray[np.int64]
    """(chunks, 3): the `Place` of each."""
    files: tuple[Halves, ...]
    """(rows, names, dimension) each."""

    def of(self, sentences: Sequence[int]) -> Halves:
        """(sentences, names, dimension) of sentences that are held, by their ids as numbers."""
        found = np.empty((len(sentences), *self.files[0].shape[1:]), dtype=np.float16)
        keys = b"".join((each & ~MAX_SENTENCES).to_bytes(_KEY, "big") for each in sentences)
        numbers = np.array([(each & MAX_SENTENCES) - 1 for each in sentences], dtype=np.int64)
        at = self.places[np.searchsorted(self.ids, np.frombuffer(keys, dtype=f"S{_KEY}"))]
        for number, file in enumerate(self.files):
            here = np.flatnonzero(at[:, 0] == number)
            found[here] = file[at[here, 1] + numbers[here]]
        return found


def opened_rows(folder: Path, names: Sequence[str], *, dimension: int) -> WindowRows:
    """The inverse of `RowWriter`; raises OSError, ValueError or KeyError for anything else."""
    with np.load(folder / _PLACES, allow_pickle=False) as held:
        ids, places = held["ids"].reshape(-1), held["places"].reshape(-1, 3)
        count = int(held["files"])
    files = tuple(
        _mapped(folder / _name(number), (-1, len(names), dimension)) for number in range(count)
    )
    return WindowRows(tuple(names), ids, places, files)


class RowWriter:
    """Writes the rows of a version into `folder`: those of `base`, without and with some."""

    def __init__(
        self, folder: Path, names: Sequence[str], *, dimension: int, base: Path | None
    ) -> None:
        folder.mkdir()
        self._folder = folder
        self._names = tuple(names)
        self._dimension = dimension
        self._before = opened_rows(base, names, dimension=dimension) if base else None
        self._places: dict[bytes, Place] = {}
        self._files = 0
        if base and self._before:
            self._files = len(self._before.files)
            places = map(tuple, self._before.places.tolist())
            self._places = dict(zip(self._before.ids.tolist(), places, strict=True))
            for number in range(self._files):
                _share(base / _name(number), folder / _name(number))
        self._file = (folder / _name(self._files)).open("wb")
        self._rows = 0

    def __len__(self) -> int:
        """Sentences that have rows."""
        return sum(count for _, _, count in self._places.values())

    def remove(self, chunk_ids: Iterable[bytes]) -> None:
        for key in chunk_ids:
            self._places.pop(_stripped(key), None)

    def put(self, chunk_id: bytes, dense: Mapping[str, Halves]) -> None:
        """The rows of a chunk that is not held, or was removed."""
        if not dense:
            return
        count = len(next(iter(dense.values())))
        if self._names:
            rows = np.stack([dense[name] for name in self._names], axis=1)
            self._file.write(rows.astype("<f2", copy=False).tobytes())
        self._places[_stripped(chunk_id)] = (self._files, self._rows, count)
        self._rows += count

    def close(self) -> None:
        """Write down where everything is."""
        self._file.close()
        files = self._files + 1
        sizes = [self._size(number) for number in range(files)]
        if files > _MOST_FILES or 2 * len(self) < sum(sizes):
            self._merge(sizes)
            files = 1
        ordered = sorted(self._places)
        np.savez(
            self._folder / _PLACES,
            allow_pickle=False,
            ids=np.array(ordered, dtype=f"S{_KEY}"),
            places=np.array([self._places[key] for key in ordered], dtype=np.int64),
            files=np.array(files),
        )

    def abandon(self) -> None:
        """Write no more."""
        self._file.close()

    def _merge(self, sizes: Sequence[int]) -> None:
        shape = (-1, len(self._names), self._dimension)
        files = [_mapped(self._folder / _name(n), shape) for n in range(len(sizes))]
        merged = self._folder / "merged"
        at = 0
        with merged.open("wb") as writer:
            for key in sorted(self._places):
                file, start, count = self._places[key]
                writer.write(files[file][start : start + count].tobytes())
                self._places[key] = (0, at, count)
                at += count
        for number in range(len(sizes)):
            (self._folder / _name(number)).unlink()
        merged.rename(self._folder / _name(0))

    def _size(self, number: int) -> int:
        size = (self._folder / _name(number)).stat().st_size
        return size // max(2 * len(self._names) * self._dimension, 1)


def _name(number: int) -> str:
    return f"{number}.rows"


def _stripped(key: bytes) -> bytes:
    """As NumPy gives fixed byte strings back: a chunk's id ends in zeros."""
    return key.rstrip(b"\0")


def _mapped(path: Path, shape: tuple[int, int, int]) -> Halves:
    if path.stat().st_size == 0:
        return np.zeros((0, *shape[1:]), dtype=np.float16)
    return np.memmap(path, dtype="<f2", mode="r").reshape(shape)


def _share(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
