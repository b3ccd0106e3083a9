"""The versions that answers are made by: production, as its manifest says now, and those asked for.

A version is loaded when it is first asked for. While a promoted one is loaded, the former answers
whoever else asks; an answer holds the version that it began with until its end.

Does not know: how answers are made.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from llm_engineering.domain.errors import BackendUnavailable, NotFound, TwinError
from llm_engineering.domain.models import ModelManifest, ProductionManifest
from llm_engineering.infrastructure.decoding.local_base import (
    DeviceName,
    LocalBase,
    load_base,
    pick_device,
)
from llm_engineering.infrastructure.decoding.row_adapters import AdapterWeights
from llm_engineering.infrastructure.model_folders import MANIFEST, PRODUCTION
from llm_engineering.ports.jobs import ModelRegistry

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, eq=False)
class Served:
    """A version that is loaded."""

    version: str
    base: LocalBase
    adapter: AdapterWeights | None


class ServedVersions:
    """Safe to use from threads. Nothing is read before the first question."""

    def __init__(
        self,
        registry: ModelRegistry,
        *,
        home: Path,
        base: str | None,
        device: DeviceName,
        adapters: int,
    ) -> None:
        """`home`: what a nano's base is relative to; `base`: where the base is, when not where the
        manifests say; `adapters`: versions that are kept loaded."""
        self._registry = registry
        self._home = home
        self._copy = base
        self._device = device
        self._kept = adapters
        self._loading = Lock()
        self._using = Lock()
        """Held for moments only."""
        self._loaded: OrderedDict[str, Served] = OrderedDict()
        """Those used last at the end; all of one base."""
        self._current: Served | None = None
        """The version in production that was loaded last."""
        self._refused = ""
        """A promoted version that could not be loaded; it is not tried again."""
        self._production: tuple[Stamp, ProductionManifest | None] = (None, None)
        self._names: tuple[tuple[Stamp, ...], tuple[str, ...]] | None = None

    def names(self) -> tuple[str, ...]:
        """Production first, then the others of the same base, newest first, but tainted ones.

        Raises BackendUnavailable when nothing is in production.
        """
        manifests = sorted(self._models.glob(f"*/{MANIFEST}"))
        stamps = tuple(map(_stamp, (self._models / PRODUCTION, *manifests)))
        if self._names is None or self._names[0] != stamps:
            current = self._promoted()
            others = (
                entry.manifest.version
                for entry in self._registry.entries()
                if entry.manifest.base == current.base and not entry.manifest.tainted
            )
            self._names = stamps, tuple(dict.fromkeys((current.version, *others)))
        return self._names[1]

    @property
    def window(self) -> int | None:
        """Tokens that the base in use reads; None before one was loaded."""
        return self._current.base.window if self._current is not None else None

    def open(self, name: str = "") -> Served:
        """The version `name`, '' for the one in production, loaded.

        Raises NotFound, BackendUnavailable or InvalidInput in one line.
        """
        current = self._promoted()
        if name and name != current.version:
            return self._named(name)
        if (found := self._found(current.version)) is not None:
            self._current = found
            return found
        former = self._current
        if former is not None and (current.version == self._refused or self._loading.locked()):
            return former
        try:
            self._current = self._load(current)
        except TwinError as error:
            if former is None:
                raise
            log.error(
                "%s was promoted and cannot be loaded, so %s goes on answering until another is "
                "promoted or the server starts again: %s",
                current.version,
                former.version,
                error,
            )
            self._refused = current.version
            return former
        if former is not None:
            log.info("%s answers from now on, in place of %s", current.version, former.version)
        return self._current

    @property
    def _models(self) -> Path:
        return self._home / "models"

    def _promoted(self) -> ModelManifest:
        """What the production manifest says; read again when its file is another one."""
        stamp = _stamp(self._models / PRODUCTION)  # before reading: a later one is seen next time
        seen, production = self._production
        if production is None or seen != stamp:
            production = self._registry.production()
            self._production = stamp, production
        if production is None:
            raise BackendUnavailable(
                "no version of the twin is in production; 'twin model promote VERSION' puts one "
                "there ('twin model list' shows them), or set TWIN_CHAT__KIND=quotes"
            )
        return production.manifest

    def _named(self, name: str) -> Served:
        names = self.names()
        if name not in names:
            listed = ", ".join(map(repr, names[:5]))
            raise NotFound(
                f"no model {name[:80]!r} over the base that is in production, but {listed}"
            )
        return self._found(name) or self._load(self._registry.get(name).manifest)

    def _found(self, version: str) -> Served | None:
        with self._using:
            if (found := self._loaded.get(version)) is not None:
                self._loaded.move_to_end(version)
            return found

    def _load(self, manifest: ModelManifest) -> Served:
        with self._loading:
            if (found := self._found(manifest.version)) is not None:
                return found
            if manifest.tainted:
                log.warning("%s is tainted: %s", manifest.version, manifest.tainted)
            folder = self._registry.adapter(manifest.version)
            base = self._base(manifest.base)
            served = Served(manifest.version, base, base.adapter(folder))
            with self._using:
                kept = [each for each in self._loaded.values() if each.base is base]
                kept = [*kept, served][-self._kept :]
                self._loaded = OrderedDict((each.version, each) for each in kept)
            return served

    def _base(self, base: str) -> LocalBase:
        wanted = self._copy or base
        name = str(self._home / wanted) if (self._home / wanted).is_dir() else wanted
        loaded = next(iter(self._loaded.values()), None)
        if loaded is not None and loaded.base.name == name:
            return loaded.base
        device = pick_device(self._device)
        log.info("loading %s on %s in %s: %s", name, device.name, device.precision, device.reason)
        return load_base(name, device)


def _stamp(path: Path) -> Stamp:
    """Changes when the file is replaced; None as long as there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
