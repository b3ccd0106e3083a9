"""A base model in this process: loaded, rendering its prompts, computing its passes.

Does not know: what is asked, how tokens are chosen.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from llm_engineering.domain.chat import Message
from llm_engineering.domain.errors import (
    BackendUnavailable,
    InvalidInput,
    InvalidSettings,
    MissingExtra,
    TwinError,
)
from llm_engineering.domain.templates import rendered
from llm_engineering.domain.training import DeviceUse
from llm_engineering.infrastructure.decoding.ragged_cache import RaggedCache, Reading
from llm_engineering.infrastructure.decoding.row_adapters import AdaptedModel, AdapterWeights

try:
    import torch
    from jinja2.exceptions import TemplateError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging
except ModuleNotFoundError as error:
    raise MissingExtra(error.name or "torch", extra="train") from error

_FULL, _SLIDING = "full_attention", "sliding_attention"
_WINDOW = 2_048
"""Of a model that does not say how many tokens it reads."""
DeviceName = Literal["auto", "cpu", "cuda"]


class LocalBase:
    """Weights, tokenizer and template of one base. Rendering is safe from threads; `logits` is for
    the one that computes."""

    def __init__(self, name: str, *, tokenizer: Any, model: Any, device: DeviceUse) -> None:
        """Raises InvalidInput for a model whose layers cannot share passes."""
        self.name = name
        self.device = device
        self._tokenizer = tokenizer
        self._model = model.eval()
        self._config = model.config.get_text_config()
        kinds = _kinds(self._config)
        if other := sorted(kinds - {_FULL, _SLIDING}):
            raise InvalidInput(
                f"base {name!r} has layers that the transformers engine does not batch "
                f"({', '.join(other)}); serve it with vLLM"
            )
        self._kinds = kinds
        self.window = int(getattr(self._config, "max_position_embeddings", 0) or _WINDOW)
        """Tokens that it reads at once, prompt and answer together."""
        self.defaults = model.generation_config
        """How its makers would choose tokens."""
        own = model.generation_config.eos_token_id
        self.ends: frozenset[int] = frozenset(
            each for each in (*_list(own), _ending(tokenizer)) if each is not None
        )
        """Tokens that end an answer: as it was trained, and as the model says."""
        self._adapted = AdaptedModel(model)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The tokens that are read before an answer, as in training. Raises InvalidInput for a
        conversation that the template refuses."""
        turns = [{"role": each.role.value, "content": each.content} for each in messages]
        try:
            text = rendered(self._tokenizer, turns, answer_next=True)
        except TemplateError as error:
            raise InvalidInput(
                f"the chat template of {self.name!r} refuses the conversation: {error}"
            ) from None
        return self.ids(text)

    def ids(self, text: str) -> list[int]:
        found: Any = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return list(found)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True)) if ids else ""

    def adapter(self, folder: Path) -> AdapterWeights:
        return self._adapted.read(folder)

    def logits(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        *,
        adapters: Sequence[AdapterWeights | None],
        cache: RaggedCache,
        reading: Reading,
        lasts: Sequence[tuple[int, int]],
    ) -> torch.Tensor:
        """Predictions at `lasts`, (row, column) of `ids` (rows, tokens), as (lasts, vocabulary);
        keys and values of all of `ids` are in the cache then."""
        ids, positions = ids.to(self._model.device), positions.to(self._model.device)
        cache.reads(Reading(reading.slots, positions))
        self._adapted.choose(adapters)
        columns = sorted({column for _, column in lasts}) or [0]
        out = self._model(
            input_ids=ids,
            position_ids=positions,
            attention_mask=self._mask(positions, end=reading.end),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=torch.tensor(columns, device=ids.device),
        ).logits
        rows = [row for row, _ in lasts]
        return out[rows, [columns.index(column) for _, column in lasts]]  # type: ignore[no-any-return]

    def _mask(self, positions: torch.Tensor, *, end: int) -> Any:
        """What may be attended to: by row, token and key; by kind of layer where there are two."""
        keys = torch.arange(end, device=positions.device)
        back = positions[:, None, :, None] - keys
        masks = {_FULL: self._additive(back >= 0)}
        if _SLIDING in self._kinds:
            near = (back >= 0) & (back < int(self._config.sliding_window))
            masks[_SLIDING] = self._additive(near)
        return masks if len(self._kinds) > 1 else masks[next(iter(self._kinds))]

    def _additive(self, seen: torch.Tensor) -> torch.Tensor:
        kind = self._model.dtype
        hidden = torch.full((), torch.finfo(kind).min, dtype=kind, device=seen.device)
        return torch.where(seen, torch.zeros((), dtype=kind, device=seen.device), hidden)


def pick_device(wanted: DeviceName) -> DeviceUse:
    """CUDA when there is one; bf16 where the device multiplies it. Raises InvalidSettings."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InvalidSettings("TWIN_CHAT__DEVICE is cuda and there is no CUDA device; unset it")
    if wanted != "cpu" and torch.cuda.is_available():
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        reason = f"found {torch.cuda.get_device_name()}"
        return DeviceUse(name="cuda", precision="bfloat16" if bf16 else "float16", reason=reason)
    can = torch.cpu.get_capabilities()
    fast = any(can.get(name) for name in ("amx_bf16", "amx_tile", "avx512_bf16"))
    asked = "as asked for" if wanted == "cpu" else "no CUDA device"
    reason = f"{asked}; the CPU {'multiplies bf16' if fast else 'has no bf16'}"
    return DeviceUse(name="cpu", precision="bfloat16" if fast else "float32", reason=reason)


def load_base(name: str, device: DeviceUse) -> LocalBase:
    """`name`: folder or hub id. Raises InvalidInput or BackendUnavailable in one line."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    tokenizer: Any = _loaded(AutoTokenizer, name)
    if not tokenizer.chat_template:
        raise InvalidInput(f"base {name!r} has no chat template; promote a version of another base")
    model: Any = _loaded(AutoModelForCausalLM, name, dtype=getattr(torch, device.precision))
    return LocalBase(name, tokenizer=tokenizer, model=model.to(device.name), device=device)


def _loaded(kind: Any, name: str, **options: Any) -> Any:
    """From this machine's disk where it is there: what was trained here was loaded here before."""
    try:
        return kind.from_pretrained(name, local_files_only=True, **options)
    except Exception as error:
        if Path(name).is_dir():
            raise _unreadable(name, error) from None
        absent = error
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        raise _unreadable(name, absent) from None
    try:
        return kind.from_pretrained(name, **options)
    except Exception as error:
        raise _unreadable(name, error) from None


def _unreadable(name: str, error: Exception) -> TwinError:
    problem = str(error).strip().partition("\n")[0][:200]
    if Path(name).is_dir():
        return InvalidInput(f"base {name!r} holds no model that can be read: {problem}")
    return BackendUnavailable(
        f"base {name!r} is neither on this machine nor to be had from the hub: {problem}; check "
        "the network, or promote a version whose base is here"
    )


def _kinds(config: Any) -> set[str]:
    """Of the layers' attention."""
    if kinds := getattr(config, "layer_types", None):
        return set(kinds)
    return {_SLIDING if getattr(config, "sliding_window", None) else _FULL}


def _list(found: Any) -> list[int | None]:
    return list(found) if isinstance(found, list | tuple) else [found]


def _ending(tokenizer: Any) -> int | None:
    """The first special token that the template writes behind an answer."""
    asked = [{"role": "user", "content": "?"}]
    answered = [*asked, {"role": "assistant", "content": "!"}]
    try:
        before = rendered(tokenizer, asked, answer_next=True)
        after = rendered(tokenizer, answered, answer_next=False)
    except TemplateError:  # it wants more turns; the model's own word is left
        return None
    special = {
        *tokenizer.all_special_ids,
        *(number for number, each in tokenizer.added_tokens_decoder.items() if each.special),
    }
    ids: Any = tokenizer(after.removeprefix(before), add_special_tokens=False)["input_ids"]
    return next((token for token in ids if token in special), None)
