"""Numbered versions of a folder, of which one is current: readers follow a pointer file.

    folder/CURRENT      name of the current version, replaced atomically
    folder/gen-7/       a version; its files do not change once it is current
    folder/building/    what the next version is made from; kept when its builder dies
    folder/LOCK         held by the process that builds

A version is written under another name, made durable, renamed, and only then pointed to; a folder
is renamed before it is deleted. So a process that dies at any moment leaves either the whole of
something or a leftover that the next builder sweeps away.

Does not know: what is in a version.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from llm_engineering.domain.errors import BackendUnavailable

POINTER, LOCK, BUILDING = "CURRENT", "LOCK", "building"
_NAME = re.compile(r"gen-(\d+)")
_LEFTOVER = (".partial", ".trash")
_COPY_BYTES = 1 << 20

Stamp = tuple[int, int]
"""Inode and modification time (ns) of the pointer: every publish changes it."""


class Generations:
    """The versions in `folder`, which need not exist yet. Safe to read from threads.

    Whatever writes (`sweep`, `draft`, `publish`) is for the one who holds the lock.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.building = folder / BUILDING
        self._pointer = folder / POINTER

    def stamp(self) -> Stamp | None:
        """Changes whenever another version becomes current; None before the first one."""
        try:
            status = self._pointer.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns

    def current(self) -> str:
        """Name of the current version; '' when there is none."""
        try:
            return self._pointer.read_text("ascii").strip()
        except FileNotFoundError:
            return ""

    def path(self, name: str) -> Path:
        return self.folder / name

    def lock(self) -> IO[str]:
        """Make the folder and take its lock, which closing the file (or dying) gives back.

        Raises BackendUnavailable, naming the process, when another one holds it.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / LOCK).open("a+", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise BackendUnavailable(
                f"process {holder} is building the index in {self.folder};"
                " wait until it is done, or end it"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        return lock

    def sweep(self, *, before: bool = True) -> None:
        """Delete leftovers and every version but the current one and the one `before` it."""
        current = _number(self.current())
        older = max((n for n in self._numbers() if n < current), default=0) if before else 0
        for path in list(self.folder.iterdir()):
            if path.name.endswith(_LEFTOVER):
                shutil.rmtree(path, ignore_errors=True)
            elif _number(path.name) not in {0, current, older}:
                self.delete(path)

    def delete(self, path: Path) -> None:
        """Delete a folder as a whole: nobody can open half of it meanwhile."""
        trash = path.with_name(f"{path.name}.trash")
        shutil.rmtree(trash, ignore_errors=True)
        try:
            path.rename(trash)
        except FileNotFoundError:
            return
        shutil.rmtree(trash, ignore_errors=True)

    def draft(self) -> tuple[str, Path]:
        """Name of the next version and a new, empty folder to write it in."""
        name = f"gen-{max(self._numbers(), default=0) + 1}"
        folder = self.folder / f"{name}.partial"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return name, folder

    def publish(self, name: str, draft: Path) -> None:
        """Make the files of `draft` durable, and it the current version."""
        for path in draft.rglob("*"):
            _sync(path)
        _sync(draft)
        draft.rename(self.path(name))
        _sync(self.folder)
        self._point_to(name)
        _sync(self.folder)

    def _point_to(self, name: str) -> None:
        fresh = self._pointer.with_name(f"{POINTER}.new")
        fresh.write_text(f"{name}\n", "ascii")
        _sync(fresh)
        fresh.replace(self._pointer)

    def _numbers(self) -> list[int]:
        found = (_number(path.name) for path in self.folder.iterdir())
        return [number for number in found if number]


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raises BackendUnavailable where the file system refuses."""
    try:
        yield
    except OSError as error:
        raise BackendUnavailable(
            f"cannot write the index in {folder}: {error.strerror or error};"
            " check its permissions and the free space"
        ) from error


def copy_tree(source: Path, target: Path) -> None:
    """Copy files and folders, holes left as holes: the engine's files are mostly holes."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_dir():
            copy_tree(path, target / path.name)
        else:
            _copy_file(path, target / path.name)


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        os.ftruncate(writer.fileno(), size)
        for start, end in _data(reader.fileno(), size):
            reader.seek(start)
            writer.seek(start)
            left = end - start
            while left and (block := reader.read(min(left, _COPY_BYTES))):
                writer.write(block)
                left -= len(block)


def _data(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of a file that are no holes."""
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole is left
            return
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end


def _number(name: str) -> int:
    """7 for 'gen-7'; 0 for anything else."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else 0


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
