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
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from llm_engineering.domain.errors import (
    BackendUnavailable,
    InvalidInput,
    NotFound,
    NotPromotable,
    TwinError,
)
from llm_engineering.domain.models import (
    Comparison,
    ModelEntry,
    ModelManifest,
    ModelStage,
    ProductionManifest,
)
from llm_engineering.domain.taint import inheriting, newly_tainted
from llm_engineering.domain.training import ADAPTER
from llm_engineering.infrastructure.durable_files import sync, sync_tree, write_durably
from llm_engineering.infrastructure.kept_files import keep_by_contents
from llm_engineering.infrastructure.model_files import (
    damage,
    damaged,
    problem,
    read,
    read_manifest,
    text_of,
)

MANIFEST, PRODUCTION, HISTORY, LOCK = "manifest.json", "production.json", "history.json", "LOCK"

_VERSION = re.compile(r"[a-z]+-([0-9a-f]{12})")
_HISTORY: TypeAdapter[tuple[ProductionManifest, ...]] = TypeAdapter(tuple[ProductionManifest, ...])


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
        if found := damage(adapter, sha256=manifest.adapter_sha256):
            raise InvalidInput(f"{found}; train it anew")
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
        if found := damage(folder, sha256=manifest.adapter_sha256):
            raise damaged(found, self._path(version))
        return folder

    def promote(
        self,
        version: str,
        *,
        reason: str,
        instead_of: str | None,
        comparison: Comparison | None = None,
    ) -> ProductionManifest:
        self._known(version)
        with self._writing():
            manifest, current = self._manifest(version), self.production()
            if manifest.tainted:  # perhaps since it was measured
                raise NotPromotable(f"{version} may not go into production: {manifest.tainted}")
            there = current.manifest.version if current else None
            if current is not None and there == version:
                return current
            if there != instead_of:
                raise NotPromotable(
                    f"{version} may not go into production: meanwhile {there or 'nothing'} is "
                    f"there, and it was weighed against {instead_of or 'nothing'}; try again"
                )
            if current is not None:
                self._remember(current)
            promoted = ProductionManifest(
                manifest=manifest,
                adapter=f"{version}/{ADAPTER}",
                promoted_at=self._now(),
                reason=reason,
                previous=there,
                comparison=comparison,
            )
            write_durably(self._folder / PRODUCTION, text_of(promoted))
        return promoted

    def production(self) -> ProductionManifest | None:
        file = self._folder / PRODUCTION
        try:
            return read(file, ProductionManifest)
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            fix = f"delete {file} and promote a version again"
            raise BackendUnavailable(f"{file}: {problem(error)}; {fix}") from None

    def taint(self, document_ids: Collection[str], *, reason: str) -> tuple[str, ...]:
        if not self._folder.exists():
            return ()
        with self._writing():
            manifests, unread = self._readable()
            tainted = newly_tainted(manifests, frozenset(document_ids), reason=reason)
            for version, manifest in tainted.items():
                write_durably(self._path(version) / MANIFEST, text_of(manifest))
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
            write_durably(self._folder / PRODUCTION, text_of(fresh))

    def _inheriting(self, manifest: ModelManifest) -> ModelManifest:
        """What starts from a tainted version is tainted."""
        if manifest.parent is None or manifest.parent not in self._versions():
            return manifest
        return inheriting(manifest, parent=self._manifest(manifest.parent))

    def _keep(self, manifest: ModelManifest, adapter: Path) -> None:
        draft = self._folder / f".{manifest.version}.partial"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(adapter, draft / ADAPTER)
        (draft / MANIFEST).write_text(text_of(manifest), encoding="utf-8")
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
            raise BackendUnavailable(f"{file}: {problem(error)}; {fix}") from None

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
        return read_manifest(self._path(version) / MANIFEST, version=version)

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
                f"cannot write the models in {self._folder}: {problem(error)};"
                " check its permissions and the free space"
            ) from error


def _stage(version: str, *, current: ProductionManifest | None, past: set[str]) -> ModelStage:
    if current is not None and current.manifest.version == version:
        return ModelStage.PRODUCTION
    return ModelStage.ARCHIVED if version in past else ModelStage.CANDIDATE
