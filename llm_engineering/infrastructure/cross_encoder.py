"""Scores of question and passage read together, by any sentence-transformers cross-encoder."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.errors import BackendUnavailable, InvalidSettings, MissingExtra
from llm_engineering.infrastructure.encoder_folder import encodable, folder_name
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


class CrossEncoderReranker:
    """Reranker port over a hub id or a folder, loaded when this is made."""

    def __init__(self, model: str, *, device: str | None) -> None:
        """`device` None takes CUDA when there is one, else the CPU.

        Raises InvalidSettings (no such model or device, or one that does not score pairs) and
        BackendUnavailable (the model is not here yet and the hub does not answer).
        """
        self.device = _device(device)
        self._source = model
        path = Path(model).expanduser()
        self._folder = path if path.is_dir() else None
        self._model = _load(model, folder=self._folder, device=self.device.name)
        _check(self._model, model)
        # The tokenizer is shared and keeps the truncation of its last call.
        self._scoring = Lock()

    @cached_property
    def name(self) -> str:
        """The hub's id; for a folder its name and a digest of its files."""
        return folder_name(self._folder) if self._folder else self._source

    def score(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """As the port says: logits; what lies past the model's window is not read."""
        if not passages:
            return np.empty(0, dtype=np.float32)
        asked = encodable(question)
        with self._scoring:
            scores = self._model.predict(
                [(asked, encodable(passage)) for passage in passages],
                activation_fn=torch.nn.Identity(),  # a sigmoid makes the best ones equal
                show_progress_bar=False,
            )
        return np.asarray(scores, dtype=np.float32)


def _device(asked: str | None) -> Device:
    if asked is None:
        return pick_device(None)
    try:
        torch.empty(0, device=asked)
    except (AssertionError, RuntimeError, NotImplementedError) as error:
        problem = str(error).partition("\n")[0]
        raise InvalidSettings(
            f"TWIN_RERANKER__DEVICE: torch cannot use {asked!r} ({problem}); "
            "leave it unset to take what is there"
        ) from None
    return Device(asked, reason="TWIN_RERANKER__DEVICE names it")


def _load(model: str, *, folder: Path | None, device: str) -> CrossEncoder:
    silence: Callable[[], None] = transformers.utils.logging.disable_progress_bar
    silence()  # Its bars would tear ours.
    made: CrossEncoder
    if folder is not None:
        try:
            made = CrossEncoder(str(folder), device=device, local_files_only=True)
        except (OSError, ValueError) as error:
            raise _unusable(model, error) from error
        return made
    if model.startswith((".", "/", "~")):
        raise _unknown(model)
    try:
        made = CrossEncoder(model, device=device, local_files_only=True)
    except (OSError, ValueError):
        _ask_hub(model)  # Loading would retry a dead hub for more than a minute.
    else:
        return made
    try:
        made = CrossEncoder(model, device=device)
    except (OSError, ValueError) as error:
        raise _unusable(model, error) from error
    return made


def _check(model: CrossEncoder, name: str) -> None:
    """Refuse a model whose head was never trained: it loads with a random one."""
    inner = model.model
    architectures = (inner.config.architectures if inner is not None else None) or ["?"]
    if not architectures[0].endswith(("ForSequenceClassification", "ForCausalLM")):
        raise InvalidSettings(
            f"TWIN_RERANKER__MODEL: {name!r} is a {architectures[0]}, which scores no pairs; "
            "name a cross-encoder"
        )
    if model.num_labels != 1:
        raise InvalidSettings(
            f"TWIN_RERANKER__MODEL: {name!r} gives {model.num_labels} scores per pair, not one; "
            "name a cross-encoder for ranking"
        )


def _ask_hub(model: str) -> None:
    """Raises InvalidSettings when the hub has no such model, BackendUnavailable when it is down."""
    hub = HfApi()
    try:
        hub.model_info(model, timeout=HUB_TIMEOUT_S)
    except (RepositoryNotFoundError, HFValidationError):
        raise _unknown(model) from None
    except (httpx.TransportError, OSError) as error:
        raise BackendUnavailable(
            f"the reranker {model!r} is not on this machine and {hub.endpoint} does not answer "
            f"({type(error).__name__}); connect once, set TWIN_RERANKER__MODEL to a folder, or "
            "unset TWIN_RERANKER__KIND"
        ) from None


def _unknown(model: str) -> InvalidSettings:
    return InvalidSettings(
        f"TWIN_RERANKER__MODEL: {model!r} is neither a folder nor a model of the hub; "
        "check its spelling, and HF_TOKEN if it is private"
    )


def _unusable(model: str, error: Exception) -> InvalidSettings:
    problem = str(error).partition("\n")[0]
    return InvalidSettings(
        f"TWIN_RERANKER__MODEL: sentence-transformers cannot load {model!r}: {problem} "
        "Name another model or fetch this one again"
    )
