"""Adapters over one base: each row of a batch is computed with its own.

What PEFT saved is read and applied here: low-rank matrices beside linear layers, and modules that
were learnt as a whole. The base's product is computed once for all rows, and nothing of the model
is switched between two steps, so that versions share a batch and a new one disturbs nobody. An
adapter's weights live as long as somebody holds them.

Does not know: versions, registries.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, MissingExtra

try:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from torch.nn.functional import linear
except ModuleNotFoundError as error:
    raise MissingExtra(error.name or "torch", extra="train") from error

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
_PREFIX, _LOW, _HIGH = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
_UNSUPPORTED = (
    "alpha_pattern",
    "lora_bias",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
)
"""Of LoRA's settings: those that compute something else than two matrices."""


@dataclass(frozen=True, eq=False)
class AdapterWeights:
    """What an adapter changes, by the name of the module in its base."""

    low_rank: dict[str, tuple[torch.Tensor, torch.Tensor]]
    """(rank, in) and (out, rank), the scale in the second."""
    whole: dict[str, torch.Tensor]
    """Weights in place of the base's."""


Chosen = tuple[AdapterWeights | None, torch.Tensor | None]
"""An adapter, or the base alone, and the rows that it is for: None for all of them."""


class AdaptedModel:
    """A base whose layers ask, in every pass, which rows have which adapter."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._chosen: Sequence[Chosen] = ()
        for name, module in model.named_modules():
            if isinstance(module, torch.nn.Linear | torch.nn.Embedding):
                adapted: Any = module
                adapted.forward = partial(self._forward, name, module, module.forward)

    def choose(self, adapters: Sequence[AdapterWeights | None]) -> None:
        """One for each row of the next pass."""
        kinds = {id(each): each for each in adapters}
        if len(kinds) == 1:
            self._chosen = ((adapters[0], None),)
            return
        places: dict[int, list[int]] = {}
        for row, each in enumerate(adapters):
            places.setdefault(id(each), []).append(row)
        device = self._model.device
        self._chosen = tuple(
            (kinds[kind], torch.tensor(rows, device=device)) for kind, rows in places.items()
        )

    def _forward(
        self,
        name: str,
        module: Any,
        plain: Callable[[torch.Tensor], torch.Tensor],
        given: torch.Tensor,
    ) -> torch.Tensor:
        out: torch.Tensor | None = None
        for adapter, rows in self._chosen:
            if adapter is None:
                continue
            if (weight := adapter.whole.get(name)) is not None:
                out = _replace(out, module, plain, given, weight, rows)
            elif (pair := adapter.low_rank.get(name)) is not None:
                out = plain(given) if out is None else out
                if rows is None:
                    out = out + linear(linear(given, pair[0]), pair[1])
                else:
                    out.index_add_(0, rows, linear(linear(given[rows], pair[0]), pair[1]))
        return plain(given) if out is None else out

    def read(self, folder: Path) -> AdapterWeights:
        """The adapter in `folder`, in the model's precision and on its device.

        Raises InvalidInput for one that this cannot apply, BackendUnavailable for one that cannot
        be read.
        """
        scale = _scale(folder)
        try:
            found = load_file(str(folder / WEIGHTS))
        except (OSError, SafetensorError) as error:
            raise _unreadable(folder / WEIGHTS, error) from None
        modules = dict(self._model.named_modules())
        like = next(iter(self._model.parameters()))
        low: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        whole: dict[str, torch.Tensor] = {}
        for key in sorted(found):
            name = key.removeprefix(_PREFIX)
            if name.endswith(_LOW):
                name = name.removesuffix(_LOW)
                first, second = found[key], found.get(f"{_PREFIX}{name}{_HIGH}")
                _fits(folder, modules.get(name), name, first, second)
                assert second is not None
                low[name] = first.to(like), (second.float() * scale(len(first))).to(like)
            elif not name.endswith(_HIGH):
                name = name.removesuffix(".weight")
                _fits_whole(folder, modules.get(name), name, found[key])
                whole[name] = _shared(found[key].to(like), whole)
        return AdapterWeights(low, whole)


def _replace(
    out: torch.Tensor | None,
    module: Any,
    plain: Callable[[torch.Tensor], torch.Tensor],
    given: torch.Tensor,
    weight: torch.Tensor,
    rows: torch.Tensor | None,
) -> torch.Tensor:
    """What the module gives with another weight, for `rows`; it may scale or shift, as it does."""
    own, module.weight.data = module.weight.data, weight
    try:
        if rows is None:
            return plain(given)
        fresh = plain(given[rows])
    finally:
        module.weight.data = own
    out = plain(given) if out is None else out
    out[rows] = fresh
    return out


def _shared(weight: torch.Tensor, known: dict[str, torch.Tensor]) -> torch.Tensor:
    """Embeddings that are both ends of a model are saved twice and kept once."""
    same = (each for each in known.values() if each.shape == weight.shape and each.equal(weight))
    return next(same, weight)


def _scale(folder: Path) -> Callable[[int], float]:
    """By which the product is multiplied, by the rank of its matrices."""
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        alpha, rslora = float(config["lora_alpha"]), bool(config.get("use_rslora"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(folder / CONFIG, error) from None
    special = [name for name in _UNSUPPORTED if config.get(name)]
    if config.get("bias", "none") != "none":
        special.append("bias")
    if config.get("peft_type") != "LORA" or special:
        what = ", ".join(special) or str(config.get("peft_type"))
        raise _not_applied(folder, f"its {CONFIG} asks for {what}")
    return lambda rank: alpha / (rank**0.5 if rslora else rank)


def _fits(
    folder: Path, module: Any, name: str, first: torch.Tensor, second: torch.Tensor | None
) -> None:
    if not isinstance(module, torch.nn.Linear):
        raise _not_applied(folder, f"{name!r} is no linear layer of its base")
    if second is None or (second.shape[0], first.shape[1]) != tuple(module.weight.shape):
        raise _not_applied(folder, f"its {name!r} has another shape than that of the base")


def _fits_whole(folder: Path, module: Any, name: str, weight: torch.Tensor) -> None:
    if not isinstance(module, torch.nn.Linear | torch.nn.Embedding):
        raise _not_applied(folder, f"it changes {name!r}")
    if weight.shape != module.weight.shape:
        raise _not_applied(folder, f"its {name!r} has another shape than that of the base")


def _not_applied(folder: Path, why: str) -> InvalidInput:
    return InvalidInput(
        f"the adapter in {folder} cannot be applied in this process: {why}; export it merged "
        "('twin model export'), or serve it with vLLM"
    )


def _unreadable(file: Path, error: Exception) -> BackendUnavailable:
    problem = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
    return BackendUnavailable(f"{file}: {problem}; restore it, or train anew")
