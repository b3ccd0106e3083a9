"""Large files of jobs, each kept once below one folder, by what is in it.

    files/3f2a…     contents, named by their sha256; nobody may write them
    files/seen.json where they were read, with size, times and inode: unchanged, not read again

A job gets a second name (a hard link) of a kept file, so a base of 16 GB is read and written once
for all jobs that start from it. It is no link to the file that was given: an edit of that one in
place would change jobs that are done, which are named by their contents. What no job names any
more, and what a copy that broke off left, is removed the next time that something is kept.

Does not know: what jobs are.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from llm_engineering.infrastructure.durable_files import sync, sync_tree

SETTLED_S = 2.0
"""A file that changed less long ago may change again within the same tick of its clock."""
_BLOCK = 1 << 20
_READ_ONLY = 0o444
_WRITABLE = 0o222
_SEEN = "seen.json"


class KeptFiles:
    """Files in `folder`, which need not exist yet.

    For one process at a time, which the caller sees to; OSErrors are the caller's too.
    """

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._now = now

    def place(self, source: Path, target: Path) -> dict[Path, str]:
        """Make `target` with the contents of the folder `source`; links in it are followed.

        Returns the sha256 of each file there.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        placed: dict[Path, str] = {}
        seen = self._seen()

        def copy(file: str, name: str) -> None:
            placed[Path(name)] = self._placed(Path(file), Path(name), seen)

        try:
            shutil.copytree(source, target, copy_function=copy)
        finally:
            self._tidy(seen)
        return placed

    def _placed(self, source: Path, target: Path, seen: dict[str, list[int | str]]) -> str:
        real = Path(os.path.realpath(source))  # a hub cache holds relative links
        known = seen.get(str(real), [])
        stamp = _stamp(real)
        digest = str(known[-1]) if known[:-1] == stamp else ""
        if not digest or not (self._folder / digest).exists():
            digest = self._kept(real)
            if stamp == _stamp(real) and self._settled(real):
                seen[str(real)] = [*stamp, digest]
        try:
            os.link(self._folder / digest, target)
        except OSError:  # no links here, or too many of this one
            shutil.copyfile(self._folder / digest, target)
        return digest

    def _kept(self, source: Path) -> str:
        """Copied and digested in one reading."""
        draft = self._folder / ".draft"
        with source.open("rb") as given, draft.open("wb") as copy:
            digest = _copied(given, copy)
        draft.chmod(_READ_ONLY)
        sync(draft)
        draft.replace(self._folder / digest)
        return digest

    def _settled(self, file: Path) -> bool:
        found = file.stat()
        return max(found.st_mtime, found.st_ctime) + SETTLED_S < self._now()

    def _seen(self) -> dict[str, list[int | str]]:
        try:
            found: dict[str, list[int | str]] = json.loads((self._folder / _SEEN).read_bytes())
        except (FileNotFoundError, ValueError):  # worth no more than the time it saves
            return {}
        return found

    def _tidy(self, seen: dict[str, list[int | str]]) -> None:
        for file in self._folder.iterdir():
            if file.name != _SEEN and file.stat().st_nlink == 1:
                file.unlink()
        there = {path: row for path, row in seen.items() if (self._folder / str(row[-1])).exists()}
        fresh = self._folder / f".{_SEEN}"
        fresh.write_text(json.dumps(there, indent=1), encoding="utf-8")
        fresh.replace(self._folder / _SEEN)


def link_or_copy(source: str, target: str) -> None:
    """For `shutil.copytree`: a second name of a file that nobody may write, a copy of any other."""
    if not Path(source).stat().st_mode & _WRITABLE:
        try:
            os.link(os.path.realpath(source), target)
        except OSError:
            pass  # another file system
        else:
            return
    shutil.copy2(source, target)


def keep_by_contents(folder: Path, place: Path) -> Path:
    """A copy of `folder` in `place`, durable and named by its contents; made once, and whole.

    For one process at a time.
    """
    kept = place / digest_of(folder)[:12]
    if not kept.exists():
        draft = place / f".{kept.name}.partial"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(folder, draft)
        sync_tree(draft)
        draft.rename(kept)
        sync(place)
    return kept


def digest_of(folder: Path, *, known: Mapping[Path, str] | None = None) -> str:
    """Of the names and contents of all files below `folder`; what is `known` is not read."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest = (known or {}).get(path) or _digest(path)
        total.update(f"{path.relative_to(folder).as_posix()}\0{digest}\n".encode())
    return total.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copied(given: BinaryIO, copy: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := given.read(_BLOCK):
        digest.update(block)
        copy.write(block)
    return digest.hexdigest()


def _stamp(file: Path) -> list[int | str]:
    found = file.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_dev, found.st_ino]
