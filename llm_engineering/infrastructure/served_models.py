"""What a vLLM server has to hold to answer as a version of the twin.

    a plain adapter        its base, with the adapter beside it: versions share one server
    any other adapter      base and adapter merged into one model, kept once below `folder`

vLLM loads low-rank matrices and nothing else: what learnt the embeddings as well
(`modules_to_save`), DoRA, or an initialisation that changed the base must be merged.

Does not know: servers.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llm_engineering
from llm_engineering.domain.errors import BackendUnavailable, NotFound, TwinError
from llm_engineering.domain.models import ModelManifest
from llm_engineering.domain.training import ERROR, JOB, MODEL, MergeJob
from llm_engineering.infrastructure import leash
from llm_engineering.ports.jobs import ModelRegistry

_CONFIG = "adapter_config.json"
_LOCK, _MERGED = "LOCK", re.compile("[0-9a-f]{12}")
_KEPT = 2
"""Merged models: the one that answers and the one before it."""
_PLAIN_STARTS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")
"""Values of PEFT's init_lora_weights, beside true and false, that leave the base as it was."""
_MERGE = "llm_engineering.recipes.merge"
_GRACE_S = 5

Merge = Callable[[MergeJob, Path], None]
"""Run the job in a folder, which its output is left in."""


@dataclass(frozen=True, slots=True)
class Served:
    """One version, as a server is to hold it."""

    version: str
    base: str
    """Hub id, or absolute folder."""
    adapter: Path | None = None
    """None: `base` is the whole version."""
    rank: int = 0
    """Of the adapter."""
    room: int = 0
    """Highest rank among all versions of this base, which may come to be promoted."""


class ServedModels:
    """The versions of a registry; merged ones are kept in `folder`."""

    def __init__(
        self, registry: ModelRegistry, *, home: Path, folder: Path, merge: Merge | None = None
    ) -> None:
        self._registry = registry
        self._home = home
        self._folder = folder
        self._merge = merge or merge_apart

    def production(self) -> str:
        """The version that is to answer. Raises NotFound before the first promotion."""
        return self._promoted().version

    def wanted(self) -> Served:
        """As a server is to hold it; merging takes minutes, once.

        Raises NotFound, BackendUnavailable for a damaged version, or what merging raises.
        """
        manifest = self._promoted()
        adapter = self._registry.adapter(manifest.version).resolve()
        base = self._base(manifest)
        config = _config(adapter)
        if not is_plain(config):
            return Served(manifest.version, str(self._merged(manifest, base, adapter)))
        rank = rank_of(config)
        return Served(manifest.version, base, adapter, rank, max(rank, self._highest(manifest)))

    def _promoted(self) -> ModelManifest:
        found = self._registry.production()
        if found is None:
            raise NotFound(
                "nothing is in production to be served; 'twin model promote VERSION', or unset "
                "TWIN_CHAT__KIND to answer in quotations"
            )
        return found.manifest

    def _base(self, manifest: ModelManifest) -> str:
        """A nano is a folder below the twin's home."""
        kept = self._home / manifest.base
        return str(kept.resolve()) if kept.is_dir() else manifest.base

    def _highest(self, manifest: ModelManifest) -> int:
        """What is damaged can not be promoted either."""
        ranks = [0]
        try:
            entries = self._registry.entries()
        except TwinError:
            return 0
        for entry in entries:
            if entry.manifest.base != manifest.base:
                continue
            try:
                config = _config(self._registry.adapter(entry.manifest.version))
            except TwinError:
                continue
            if is_plain(config):
                ranks.append(rank_of(config))
        return max(ranks)

    def _merged(self, manifest: ModelManifest, base: str, adapter: Path) -> Path:
        """Made by one process at a time: whoever waited for it finds it made."""
        folder = self._folder.absolute()
        kept = folder / manifest.adapter_sha256[:12]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / _LOCK).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not kept.is_dir():
                    self._make(MergeJob(base=base, adapter=adapter), kept)
                os.utime(kept)
                self._tidy()
        except OSError as error:
            raise BackendUnavailable(
                f"cannot keep the merged model in {folder}: {error.strerror or error}; check "
                "its permissions and the free space"
            ) from None
        return kept

    def _make(self, job: MergeJob, kept: Path) -> None:
        draft = kept.with_name(f".{kept.name}.partial")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        self._merge(job, draft)
        (draft / MODEL).rename(kept)
        shutil.rmtree(draft)

    def _tidy(self) -> None:
        kept = [path for path in self._folder.iterdir() if _MERGED.fullmatch(path.name)]
        for path in sorted(kept, key=lambda each: each.stat().st_mtime, reverse=True)[_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)


def is_plain(config: Mapping[str, Any]) -> bool:
    """Whether an adapter is low-rank matrices beside its base's, as vLLM loads them."""
    start = config.get("init_lora_weights", True)
    features = ("modules_to_save", "use_dora", "lora_bias", "layer_replication", "use_bdlora")
    return (
        not any(config.get(name) for name in (*features, "trainable_token_indices", "use_qalora"))
        and config.get("bias", "none") == "none"
        and (not isinstance(start, str) or start.lower() in _PLAIN_STARTS)
    )


def rank_of(config: Mapping[str, Any]) -> int:
    """The highest of its matrices."""
    return max([int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())])


def merge_apart(job: MergeJob, folder: Path) -> None:
    """In a process of its own, which brings torch and takes it away again.

    Raises BackendUnavailable with the recipe's own line.
    """
    (folder / JOB).write_text(job.model_dump_json(), encoding="utf-8")
    source = str(Path(llm_engineering.__file__).parents[1])
    places = ["--output", str(folder), "--checkpoints", str(folder / "checkpoints")]
    held, end = os.pipe()
    try:
        ended = subprocess.run(
            [
                *(sys.executable, leash.__file__, str(_GRACE_S)),
                *(sys.executable, "-m", _MERGE, str(folder / JOB), *places),
            ],
            env=os.environ | {"PYTHONPATH": source, "PYTHONSAFEPATH": "1"},
            stdin=held,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(held)
        os.close(end)  # by the system, should this process die before
    if ended.returncode:
        error = folder / ERROR
        said = error.read_text("utf-8") if error.exists() else ended.stderr
        lines = said.strip().splitlines()
        raise BackendUnavailable(
            f"cannot merge adapter and base, which vLLM needs here: "
            f"{lines[-1] if lines else 'it did not say why'}; promote another version"
        )


def _config(adapter: Path) -> dict[str, Any]:
    """Raises BackendUnavailable."""
    try:
        found: dict[str, Any] = json.loads((adapter / _CONFIG).read_text("utf-8"))
        rank_of(found)
    except (OSError, ValueError, KeyError, TypeError):
        raise BackendUnavailable(
            f"{adapter / _CONFIG} says no rank; the version is damaged: promote another one"
        ) from None
    return found
