"""Whether one text follows from another, by any cross-encoder for natural language inference.

Such models do not agree on which output means what, so it is read from each one's own config.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

from llm_engineering.domain.errors import InvalidSettings, MissingExtra
from llm_engineering.infrastructure.cross_encoder_loading import device_of, loaded
from llm_engineering.infrastructure.encoder_folder import encodable, folder_name
from llm_engineering.ports.models import Judged

try:
    import torch
    from sentence_transformers import CrossEncoder
except ModuleNotFoundError as error:
    raise MissingExtra("sentence-transformers", extra="torch") from error

_SECTION = "ENTAILMENT"
_LABELS = ("entailment", "neutral", "contradiction")


class CrossEncoderEntailment:
    """EntailmentModel port over a hub id or a folder, loaded when this is made."""

    def __init__(self, model: str, *, device: str | None) -> None:
        """`device` None takes CUDA when there is one, else the CPU.

        Raises InvalidSettings (no such model or device, or one whose labels are not those of
        inference) and BackendUnavailable (it is not here yet and the hub does not answer).
        """
        self.device = device_of(device, section=_SECTION)
        self._source = model
        path = Path(model).expanduser()
        self._folder = path if path.is_dir() else None
        self._model = loaded(model, folder=self._folder, device=self.device.name, section=_SECTION)
        self._places = _places(self._model, model)
        # The tokenizer is shared and keeps the truncation of its last call.
        self._judging = Lock()

    @cached_property
    def name(self) -> str:
        """The hub's id; for a folder its name and a digest of its files."""
        return folder_name(self._folder) if self._folder else self._source

    def judge(self, pairs: Sequence[tuple[str, str]]) -> list[Judged]:
        """As the port says; what lies past the model's window is not read."""
        if not pairs:
            return []
        with self._judging:
            rows = self._model.predict(
                [(encodable(evidence), encodable(statement)) for evidence, statement in pairs],
                activation_fn=torch.nn.Softmax(dim=-1),
                show_progress_bar=False,
            )
        return [
            Judged(**{label: float(row[at]) for label, at in self._places.items()}) for row in rows
        ]


def _places(model: CrossEncoder, name: str) -> dict[str, int]:
    """Which output is which, as its config says. Raises InvalidSettings."""
    inner = model.model
    named = (inner.config.id2label if inner is not None else None) or {}
    places = {str(label).strip().casefold(): int(at) for at, label in named.items()}
    if set(places) != set(_LABELS):
        found = ", ".join(map(repr, sorted(places))) or "none"
        raise InvalidSettings(
            f"TWIN_{_SECTION}__MODEL: the labels of {name!r} are {found}, not "
            f"{', '.join(_LABELS)}; name a cross-encoder for natural language inference"
        )
    return places
