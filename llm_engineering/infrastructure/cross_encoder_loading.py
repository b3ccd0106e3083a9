"""Loads cross-encoders by hub id or folder; `section` names the settings that asked for one."""

from collections.abc import Callable
from pathlib import Path

from llm_engineering.domain.errors import BackendUnavailable, InvalidSettings, MissingExtra
from llm_engineering.infrastructure.sentence_transformers import (
    HUB_TIMEOUT_S,
    Device,
    pick_device,
)

try:
    import httpx
    import torch
    import transformers
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
    from sentence_transformers import CrossEncoder
except ModuleNotFoundError as error:
    raise MissingExtra("sentence-transformers", extra="torch") from error


def device_of(asked: str | None, *, section: str) -> Device:
    if asked is None:
        return pick_device(None)
    try:
        torch.empty(0, device=asked)
    except (AssertionError, RuntimeError, NotImplementedError) as error:
        problem = str(error).partition("\n")[0]
        raise InvalidSettings(
            f"TWIN_{section}__DEVICE: torch cannot use {asked!r} ({problem}); "
            "leave it unset to take what is there"
        ) from None
    return Device(asked, reason=f"TWIN_{section}__DEVICE names it")


def loaded(model: str, *, folder: Path | None, device: str, section: str) -> CrossEncoder:
    silence: Callable[[], None] = transformers.utils.logging.disable_progress_bar
    silence()  # Its bars would tear ours.
    made: CrossEncoder
    if folder is not None:
        try:
            made = CrossEncoder(str(folder), device=device, local_files_only=True)
        except (OSError, ValueError) as error:
            raise _unusable(model, error, section) from error
        return made
    if model.startswith((".", "/", "~")):
        raise _unknown(model, section)
    try:
        made = CrossEncoder(model, device=device, local_files_only=True)
    except (OSError, ValueError):
        _ask_hub(model, section)  # Loading would retry a dead hub for more than a minute.
    else:
        return made
    try:
        made = CrossEncoder(model, device=device)
    except (OSError, ValueError) as error:
        raise _unusable(model, error, section) from error
    return made


def _ask_hub(model: str, section: str) -> None:
    """Raises InvalidSettings when the hub has no such model, BackendUnavailable when it is down."""
    hub = HfApi()
    try:
        hub.model_info(model, timeout=HUB_TIMEOUT_S)
    except (RepositoryNotFoundError, HFValidationError):
        raise _unknown(model, section) from None
    except (httpx.TransportError, OSError) as error:
        raise BackendUnavailable(
            f"the model {model!r} is not on this machine and {hub.endpoint} does not answer "
            f"({type(error).__name__}); connect once, set TWIN_{section}__MODEL to a folder, or "
            f"unset TWIN_{section}__KIND"
        ) from None


def _unknown(model: str, section: str) -> InvalidSettings:
    return InvalidSettings(
        f"TWIN_{section}__MODEL: {model!r} is neither a folder nor a model of the hub; "
        "check its spelling, and HF_TOKEN if it is private"
    )


def _unusable(model: str, error: Exception, section: str) -> InvalidSettings:
    problem = str(error).partition("\n")[0]
    return InvalidSettings(
        f"TWIN_{section}__MODEL: sentence-transformers cannot load {model!r}: {problem} "
        "Name another model or fetch this one again"
    )
