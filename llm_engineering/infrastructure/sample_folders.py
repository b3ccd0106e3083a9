"""Sample sets as folders of JSON lines: `<version>/manifest.json`, `instruct.train.jsonl`, ...

The rows are in TRL's conversational format with their provenance beside (domain/sample_rows.py), so
that `datasets.load_dataset("json", ...)` reads them as they are. A set is written next to its place
and moved there as a whole: a set that is there is complete.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

from pydantic import ValidationError

from llm_engineering.domain.errors import BackendUnavailable, NotFound
from llm_engineering.domain.sample_rows import (
    Row,
    Sample,
    instruct_sample,
    preference_sample,
    rated_sample,
    row_of,
)
from llm_engineering.domain.samples import (
    SampleSet,
    SampleSetManifest,
    Split,
    newest_first,
    no_such_set,
)

MANIFEST = "manifest.json"
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")
_PARTIAL = ".partial-"

T = TypeVar("T", bound=Sample)


class FolderSampleStore:
    """A `SampleStore` below `folder`; nothing is touched before the first call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, samples: SampleSet) -> str:
        """Raises BackendUnavailable when the folder cannot be written."""
        version = samples.manifest.version
        place = self._folder / version
        if place.is_dir():
            return version
        with self._explained():
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = Path(mkdtemp(prefix=_PARTIAL, dir=self._folder))
            try:
                _write_set(samples, partial)
                partial.chmod(0o755)  # mkdtemp's is for its user alone
                _move(partial, place)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return version

    def get(self, version: str) -> SampleSet:
        """Raises NotFound, or BackendUnavailable for a set that is damaged."""
        place = self._folder / version
        if not _VERSION.fullmatch(version) or not (place / MANIFEST).is_file():
            raise NotFound(no_such_set(version, self.manifests()))
        manifest = self._manifest(place)
        samples = SampleSet(
            manifest=manifest,
            instruct=tuple(self._rows(place, "instruct", instruct_sample)),
            preference=tuple(self._rows(place, "preference", preference_sample)),
            rated=tuple(self._rows(place, "rated", rated_sample)),
        )
        held = {"instruct": samples.instruct, "preference": samples.preference}
        for kind, found in {**held, "rated": samples.rated}.items():
            said = sum(getattr(counts, kind) for counts in manifest.splits.values())
            if len(found) != said:
                raise self._damaged(
                    place, f"{said} {kind} rows were written, {len(found)} are left"
                )
        return samples

    def manifests(self) -> tuple[SampleSetManifest, ...]:
        """Raises BackendUnavailable for one that is damaged."""
        with self._explained():
            places = [
                place
                for place in (self._folder.iterdir() if self._folder.is_dir() else ())
                if not place.name.startswith(".") and (place / MANIFEST).is_file()
            ]
        return newest_first(map(self._manifest, places))

    def _manifest(self, place: Path) -> SampleSetManifest:
        with self._explained():
            text = (place / MANIFEST).read_bytes()
        try:
            return SampleSetManifest.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise self._damaged(place, f"{MANIFEST}: {first['msg']}") from None

    def _rows(
        self, place: Path, kind: str, sample_of: Callable[[Mapping[str, Any]], T]
    ) -> Iterator[T]:
        for split in Split:
            file = place / _file_name(kind, split)
            with self._explained():
                # Not splitlines: U+2028 in a text ends no row.
                lines = file.read_text(encoding="utf-8").split("\n") if file.exists() else []
            for number, line in enumerate(lines, start=1):
                if not line:
                    continue
                try:
                    yield sample_of(json.loads(line))
                except (ValueError, KeyError, TypeError):
                    raise self._damaged(place, f"{file.name}, line {number}") from None

    def _damaged(self, place: Path, what: str) -> BackendUnavailable:
        return BackendUnavailable(
            f"sample set {place} is damaged ({what}); delete the folder and make it again with "
            "'twin run datasets'"
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BackendUnavailable(
                f"{self._folder}: {error.strerror}; TWIN_HOME must be a folder that you may write "
                "to, with space left"
            ) from error


def _write_set(samples: SampleSet, folder: Path) -> None:
    kinds: dict[str, Sequence[Sample]] = {
        "instruct": samples.instruct,
        "preference": samples.preference,
        "rated": samples.rated,
    }
    for kind, held in kinds.items():
        for split in Split:
            rows = [row_of(sample) for sample in held if sample.split is split]
            if rows:
                _write(folder / _file_name(kind, split), map(_line, rows))
    _write(folder / MANIFEST, [samples.manifest.model_dump_json(indent=2) + "\n"])


def _write(file: Path, lines: Iterable[str]) -> None:
    with file.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(lines)
        out.flush()
        os.fsync(out.fileno())


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _file_name(kind: str, split: Split) -> str:
    return f"{kind}.{split.value}.jsonl"


def _move(partial: Path, place: Path) -> None:
    """Into place, unless another process put the same set there meanwhile."""
    try:
        partial.rename(place)
    except OSError:
        if not (place / MANIFEST).is_file():
            raise
