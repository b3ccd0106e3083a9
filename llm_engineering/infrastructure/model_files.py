"""The files of a trained version: read and checked, and in one line what is wrong with them.

Does not know: which versions there are, what they are for.
"""

import hashlib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.models import ModelManifest

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
"""What PEFT needs to load an adapter."""

_Model = TypeVar("_Model", bound=BaseModel)


def read(file: Path, model: type[_Model]) -> _Model:
    """Raises OSError and ValidationError; `problem` puts them in one line."""
    return model.model_validate_json(file.read_bytes())


def read_manifest(file: Path, *, version: str) -> ModelManifest:
    """Raises BackendUnavailable when the file is not the manifest of `version`."""
    try:
        manifest = read(file, ModelManifest)
    except (OSError, ValidationError) as error:
        raise damaged(f"{file}: {problem(error)}", file.parent) from None
    if manifest.version != version:
        raise damaged(f"{file}: it is the manifest of {manifest.version}", file.parent)
    return manifest


def text_of(value: BaseModel) -> str:
    return value.model_dump_json(indent=2) + "\n"


def damage(adapter: Path, *, sha256: str) -> str:
    """What is wrong with an adapter's folder; '' when nothing is."""
    for name in (CONFIG, WEIGHTS):
        if not (adapter / name).is_file():
            return f"{adapter / name}: no such file"
    with (adapter / WEIGHTS).open("rb") as weights:
        found = hashlib.file_digest(weights, "sha256").hexdigest()
    if found == sha256:
        return ""
    return f"{adapter / WEIGHTS}: its sha256 is {found[:12]}…, {sha256[:12]}… was registered"


def damaged(what: str, folder: Path) -> BackendUnavailable:
    return BackendUnavailable(
        f"{what}; the version is damaged: restore {folder} from a backup, or delete it and "
        "train anew"
    )


def problem(error: Exception) -> str:
    """In one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
    return getattr(error, "strerror", None) or str(error)
