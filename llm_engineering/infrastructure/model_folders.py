"""The model registry as folders: a version is a folder, production is a file.

    models/sft-0a1b2c3d4e5f/manifest.json   a ModelManifest; replaced only to taint it
    models/sft-0a1b2c3d4e5f/adapter/        as training left it
    models/bases/0a1b2c3d4e5f/              a base that only this home has, by its contents
    models/production.json                  a ProductionManifest; what the serving side reads
    models/history.json                     those that production.json held before, oldest first
    models/LOCK                             held by the process that writes

Everything is written beside its place, made durable and moved there whole. Stages are not stored:
they follow from the two files. What else lies in the folder is not looked at.

Does not know: what makes a version good enough, who loads it.
"""

import fcntl
import hashlib
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from llm_engineering.domain.errors import (
    BackendUnavailable,
    InvalidInput,
    NotFound,
    NotPromotable,
    TwinError,
)
from llm_engineering.domain.models import (
    ModelEntry,
    ModelManifest,
    ModelStage,
    ProductionManifest,
)
from llm_engineering.domain.training import ADAPTER
from llm_engineering.infrastructure.durable_files import sync, sync_tree, write_durably
from llm_engineering.infrastructure.kept_files import keep_by_contents

MANIFEST, PRODUCTION, HISTORY, LOCK = "manifest.json", "production.json", "history.json", "LOCK"
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
"""What PEFT needs to load an adapter."""

_VERSION = re.compile(r"[a-z]+-([0-9a-f]{12})")
_HISTORY: TypeAdapter[tuple[ProductionManifest, ...]] = TypeAdapter(tuple[ProductionManifest, ...])
_Model = TypeVar("_Model", bound=BaseModel)


class FolderModelRegistry:
    """Versions in `folder`, which need not exist yet. Safe between processes."""

    def __init__(
        self, folder: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._folder = folder
        self._now = now

    def add(self, manifest: ModelManifest, *, adapter: Path) -> None:
        named = _VERSION.fullmatch(manifest.version)
        if named is None or not manifest.adapter_sha256.startswith(named[1]):
            raise InvalidInput(
                f"{manifest.version!r} is no name for the adapter {manifest.adapter_sha256[:12]}; "
                "name a version '<recipe>-<first 12 digits of the adapter's sha256>'"
            )
        problem = _damage(adapter, sha256=manifest.adapter_sha256)
        if problem:
            raise InvalidInput(f"{problem}; train it anew")
        with self._writing():
            if self._path(manifest.version).exists():
                self.adapter(manifest.version)  # raises when it is damaged
                return
            self._keep(self._inheriting(manifest), adapter)

    def keep_base(self, folder: Path) -> Path:
        with self._writing():
            return keep_by_contents(folder, self._folder / "bases")

    def entries(self) -> tuple[ModelEntry, ...]:
        manifests = [self._manifest(version) for version in self._versions()]
        manifests.sort(key=lambda each: (each.created_at, each.version), reverse=True)
        current, past = self.production(), {each.manifest.version for each in self._history()}
        return tuple(
            ModelEntry(manifest=each, stage=_stage(each.version, current=current, past=past))
            for each in manifests
        )

    def get(self, version: str) -> ModelEntry:
        manifest = self._manifest(self._known(version))
        past = {each.manifest.version for each in self._history()}
        stage = _stage(version, current=self.production(), past=past)
        return ModelEntry(manifest=manifest, stage=stage)

    def adapter(self, version: str) -> Path:
        manifest = self._manifest(self._known(version))
        folder = self._path(version) / ADAPTER
        if problem := _damage(folder, sha256=manifest.adapter_sha256):
            raise _damaged(problem, self._path(version))
        return folder

    def promote(self, version: str, *, reason: str) -> ProductionManifest:
        self._known(version)
        with self._writing():
            manifest, current = self._manifest(version), self.production()
            if manifest.tainted:  # perhaps since it was measured
                raise NotPromotable(f"{version} may not go into production: {manifest.tainted}")
            if current is not None:
                if current.manifest.version == version:
                    return current
                self._remember(current)
            promoted = ProductionManifest(
                manifest=manifest,
                adapter=f"{version}/{ADAPTER}",
                promoted_at=self._now(),
                reason=reason,
                previous=current.manifest.version if current else None,
            )
            write_durably(self._folder / PRODUCTION, _json(promoted))
        return promoted

    def production(self) -> ProductionManifest | None:
        file = self._folder / PRODUCTION
        try:
            return _read(file, ProductionManifest)
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            fix = f"delete {file} and promote a version again"
            raise BackendUnavailable(f"{file}: {_problem(error)}; {fix}") from None

    def taint(self, document_ids: Collection[str], *, reason: str) -> tuple[str, ...]:
        if not self._folder.exists():
            return ()
        with self._writing():
            manifests, unread = self._readable()
            tainted = _taint(manifests, frozenset(document_ids), reason=reason)
            for version, manifest in tainted.items():
                write_durably(self._path(version) / MANIFEST, _json(manifest))
            self._taint_production(manifests | tainted)
        if unread:
            raise unread[0]
        return tuple(tainted)

    def _readable(self) -> tuple[dict[str, ModelManifest], list[TwinError]]:
        """All manifests but the damaged ones, and what is wrong with those."""
        found: dict[str, ModelManifest] = {}
        unread: list[TwinError] = []
        for version in self._versions():
            try:
                found[version] = self._manifest(version)
            except TwinError as error:
                unread.append(error)
        return found, unread

    def _taint_production(self, manifests: dict[str, ModelManifest]) -> None:
        """Let the serving side know; also what an earlier process died before saying."""
        current = self.production()
        if current is None:
            return
        manifest = manifests.get(current.manifest.version, current.manifest)
        if manifest != current.manifest:
            fresh = current.model_copy(update={"manifest": manifest})
            write_durably(self._folder / PRODUCTION, _json(fresh))

    def _inheriting(self, manifest: ModelManifest) -> ModelManifest:
        """What starts from a tainted version is tainted."""
        if manifest.parent is None or manifest.parent not in self._versions():
            return manifest
        parent = self._manifest(manifest.parent)
        if manifest.tainted or not parent.tainted:
            return manifest
        return manifest.model_copy(update={"tainted": _through(parent)})

    def _keep(self, manifest: ModelManifest, adapter: Path) -> None:
        draft = self._folder / f".{manifest.version}.partial"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(adapter, draft / ADAPTER)
        (draft / MANIFEST).write_text(_json(manifest), encoding="utf-8")
        sync_tree(draft)
        draft.rename(self._path(manifest.version))
        sync(self._folder)

    def _remember(self, replaced: ProductionManifest) -> None:
        """Before production.json is replaced: a process that dies between leaves it twice."""
        past = self._history()
        if past[-1:] != (replaced,):
            write_durably(
                self._folder / HISTORY, _HISTORY.dump_json((*past, replaced), indent=2).decode()
            )

    def _history(self) -> tuple[ProductionManifest, ...]:
        file = self._folder / HISTORY
        try:
            return _HISTORY.validate_json(file.read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as error:
            fix = "restore it from a backup, or delete it: only the archived stages are lost"
            raise BackendUnavailable(f"{file}: {_problem(error)}; {fix}") from None

    def _versions(self) -> tuple[str, ...]:
        if not self._folder.exists():
            return ()
        names = (path.name for path in self._folder.iterdir() if path.is_dir())
        return tuple(sorted(name for name in names if _VERSION.fullmatch(name)))

    def _known(self, version: str) -> str:
        versions = self._versions()
        if version in versions:
            return version
        if not versions:
            raise NotFound(f"no version {version!r}: none was trained yet; 'twin run training'")
        close = get_close_matches(version, versions, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "'twin model list' shows the versions"
        raise NotFound(f"no version {version!r}; {hint}")

    def _manifest(self, version: str) -> ModelManifest:
        file = self._path(version) / MANIFEST
        try:
            return _read(file, ModelManifest)
        except (OSError, ValidationError) as error:
            raise _damaged(f"{file}: {_problem(error)}", self._path(version)) from None

    def _path(self, version: str) -> Path:
        return self._folder / version

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Alone among the processes; raises BackendUnavailable where the file system refuses."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / LOCK).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except (OSError, shutil.Error) as error:
            raise BackendUnavailable(
                f"cannot write the models in {self._folder}: {_problem(error)};"
                " check its permissions and the free space"
            ) from error


def _taint(
    manifests: dict[str, ModelManifest], document_ids: frozenset[str], *, reason: str
) -> dict[str, ModelManifest]:
    """The versions that were not tainted and are now, with their new manifests."""
    fresh: dict[str, ModelManifest] = {}
    bad = {version: each for version, each in manifests.items() if each.tainted}
    for version, manifest in manifests.items():
        if version not in bad and document_ids.intersection(manifest.document_ids):
            fresh[version] = manifest.model_copy(update={"tainted": reason})
    while heirs := {
        version: manifest.model_copy(update={"tainted": _through((bad | fresh)[manifest.parent])})
        for version, manifest in manifests.items()
        if manifest.parent in bad.keys() | fresh.keys() and version not in bad.keys() | fresh.keys()
    }:
        fresh |= heirs
    return fresh


def _through(parent: ModelManifest) -> str:
    return f"{parent.tainted} (it starts from {parent.version})"


def _stage(version: str, *, current: ProductionManifest | None, past: set[str]) -> ModelStage:
    if current is not None and current.manifest.version == version:
        return ModelStage.PRODUCTION
    return ModelStage.ARCHIVED if version in past else ModelStage.CANDIDATE


def _damage(adapter: Path, *, sha256: str) -> str:
    """What is wrong with an adapter's folder; '' when nothing is."""
    for name in (CONFIG, WEIGHTS):
        if not (adapter / name).is_file():
            return f"{adapter / name}: no such file"
    with (adapter / WEIGHTS).open("rb") as weights:
        found = hashlib.file_digest(weights, "sha256").hexdigest()
    if found == sha256:
        return ""
    return f"{adapter / WEIGHTS}: its sha256 is {found[:12]}…, {sha256[:12]}… was registered"


def _damaged(problem: str, folder: Path) -> BackendUnavailable:
    return BackendUnavailable(
        f"{problem}; the version is damaged: restore {folder} from a backup, or delete it and "
        "train anew"
    )


def _read(file: Path, model: type[_Model]) -> _Model:
    return model.model_validate_json(file.read_bytes())


def _json(value: BaseModel) -> str:
    return value.model_dump_json(indent=2) + "\n"


def _problem(error: Exception) -> str:
    """In one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
    return getattr(error, "strerror", None) or str(error)
