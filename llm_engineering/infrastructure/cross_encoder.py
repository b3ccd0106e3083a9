"""Scores of question and passage read together, by any sentence-transformers cross-encoder."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.errors import InvalidSettings, MissingExtra
from llm_engineering.infrastructure.cross_encoder_loading import device_of, loaded
from llm_engineering.infrastructure.encoder_folder import encodable, folder_name

try:
    import torch
    from sentence_transformers import CrossEncoder
except ModuleNotFoundError as error:
    raise MissingExtra("sentence-transformers", extra="torch") from error

_SECTION = "RERANKER"


class CrossEncoderReranker:
    """Reranker port over a hub id or a folder, loaded when this is made."""

    def __init__(self, model: str, *, device: str | None) -> None:
        """`device` None takes CUDA when there is one, else the CPU.

        Raises InvalidSettings (no such model or device, or one that does not score pairs) and
        BackendUnavailable (the model is not here yet and the hub does not answer).
        """
        self.device = device_of(device, section=_SECTION)
        self._source = model
        path = Path(model).expanduser()
        self._folder = path if path.is_dir() else None
        self._model = loaded(model, folder=self._folder, device=self.device.name, section=_SECTION)
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
