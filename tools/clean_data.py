"""`make clean-data`: forget what was crawled, indexed and recorded; on request all that is kept."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click

from llm_engineering.bootstrap import open_app
from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, TwinError
from llm_engineering.settings import (
    EdgeSettings,
    LocalJobsSettings,
    Settings,
    SqliteSettings,
    load_settings,
)
from pipelines.at_work import alone
from tools.output import Column, note, write_table
from tools.serve import TWIN
from tools.stop_runs import going_on

MEGABYTE = 1_000_000
BLOCK = 512
"""What stat(2) counts in, whatever the file system's own blocks are."""


class Group(NamedTuple):
    """What is forgotten together."""

    name: str
    what: str
    entries: tuple[str, ...]
    """Names in the home."""
    asked_for: bool
    """Whether it took more than reading the sources: hours of training, or the work of people."""


GROUPS = (
    Group(
        "collected",
        "what was crawled, indexed and recorded",
        ("documents.db", "index", "logs", "reports", "run", "zenml"),
        asked_for=False,
    ),
    Group(
        "trained",
        "sample sets, what a teacher answered, training runs and trained versions",
        ("datasets", "experiments", "models", "runs", "serving", "teacher.db", "training"),
        asked_for=True,
    ),
    Group("feedback", "ratings and corrections by people", ("feedback.db",), asked_for=True),
    Group(
        "conversations", "conversations that people had kept", ("conversations.db",), asked_for=True
    ),
    Group("keys", "keys to the API", ("keys.db",), asked_for=True),
)
_BESIDE = ("", "-journal", "-shm", "-wal")
"""What SQLite appends to a database's name for files of its own."""


class Found(NamedTuple):
    """A group as far as it is there."""

    group: Group
    sizes: dict[Path, int]
    """Bytes of each of its files and folders."""

    def __str__(self) -> str:
        total = sum(self.sizes.values())
        return f"{self.group.what} ({', '.join(map(_name, self.sizes))}; {megabytes(total)})"


def clean_data(
    settings: Settings, *, everything: bool = False, ask: Callable[[str], bool] | None = None
) -> None:
    """Delete what was collected, and what else is kept with `everything` or when `ask` says so;
    nobody is asked when it is None. What is of no group stays.

    Raises InvalidInput for a folder that is no home of a twin, and while something works in it.
    """
    home = settings.home
    if not home.exists():
        click.echo(f"nothing is kept in {home}")
    else:
        with unused(settings):
            found = find_groups(home)
            write_table((Column("what"), Column("in it"), Column("size")), list(_rows(found)))
            kept = [each for each in found if not (everything or _may_go(each, ask))]
            for each in found:
                if each not in kept:
                    told = f"forgot {each}"
                    _delete(each)
                    click.echo(told)
        if not any(home.iterdir()):
            home.rmdir()
        for each in kept:
            note(f"kept: {each}; 'make clean-data ALL=yes' deletes that too")
    if not isinstance(settings.documents, SqliteSettings):
        note(f"documents in {settings.documents.kind} stay: drop its database yourself")
    if not isinstance(settings.vectors, EdgeSettings):
        note(f"vectors in {settings.vectors.kind} stay: delete its collections yourself")


def find_groups(home: Path) -> tuple[Found, ...]:
    """The groups of which something is there."""
    counted: set[tuple[int, int]] = set()
    found = (
        Found(
            group,
            {
                path: _bytes(path, counted)
                for entry in group.entries
                for path in (home / f"{entry}{suffix}" for suffix in _BESIDE)
                if path.exists()
            },
        )
        for group in GROUPS
    )
    return tuple(each for each in found if each.sizes)


@contextmanager
def unused(settings: Settings) -> Iterator[None]:
    """Keep pipelines out of the home of a twin.

    Raises InvalidInput when the folder is none, a pipeline works there, or a training run goes on.
    """
    home = settings.home
    if not find_groups(home):
        raise InvalidInput(f"{home} holds nothing of a twin, so it stays; check TWIN_HOME")
    with alone(home), open_app(settings.model_copy(update={"jobs": LocalJobsSettings()})) as app:
        if runs := going_on(app.jobs):
            raise InvalidInput(
                f"training goes on in {home}: {', '.join(runs)}; wait for it, or end it with "
                "'make stop'"
            )
        yield


def megabytes(size: int) -> str:
    return f"{size / MEGABYTE:,.1f} MB"


def _rows(found: tuple[Found, ...]) -> Iterator[tuple[str, str, str]]:
    for group, sizes in found:
        for path, size in sizes.items():
            yield group.name, _name(path), megabytes(size)


def _name(path: Path) -> str:
    return f"{path.name}/" if path.is_dir() else path.name


def _may_go(found: Found, ask: Callable[[str], bool] | None) -> bool:
    return not found.group.asked_for or (ask is not None and ask(f"Delete {found} as well?"))


def _delete(found: Found) -> None:
    for path in found.sizes:
        try:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        except OSError as error:
            raise BackendUnavailable(
                f"cannot delete {error.filename or path}: {error.strerror}; what stood before it "
                "is gone, so do the same once more when that is mended"
            ) from None


def _bytes(path: Path, counted: set[tuple[int, int]]) -> int:
    """That the disk gives back: an index has holes, and weights have several names, of which the
    first one counts."""
    total = 0
    for each in (path, *path.rglob("*")):
        status = each.lstat()
        if (key := (status.st_dev, status.st_ino)) not in counted:
            counted.add(key)
            total += status.st_blocks * BLOCK
    return total


@click.command()
@click.option("--all", "everything", is_flag=True, help="Trained versions and feedback too.")
def main(everything: bool) -> None:
    """Forget what was crawled, indexed and recorded. Asks for the rest, where somebody can be."""
    settings = load_settings()
    if settings.home.exists():
        with unused(settings):  # or nothing is stopped either
            pass
    for command in (("serve", "--stop"), ("stack", "down")):
        if code := subprocess.run([*TWIN, *command], check=False).returncode:
            raise SystemExit(code)  # it has said why
    person = sys.stdin.isatty()
    clean_data(settings, everything=everything, ask=click.confirm if person else None)


if __name__ == "__main__":
    try:
        main()
    except TwinError as error:
        raise SystemExit(f"twin: error: {error}") from None
