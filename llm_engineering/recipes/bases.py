"""The model a recipe starts from, with its tokenizer; or one line that says why it cannot.

Does not know: adapters' rules, data, devices other than the one it is given.
"""

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_engineering.domain.errors import BackendUnavailable, InvalidInput
from llm_engineering.domain.training import DeviceUse
from llm_engineering.recipes.hub_cache import is_whole_in_cache
from llm_engineering.recipes.sharding import load_sharded

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NANO_MARK = "nano.json"
"""In the folder of a model that was trained from nothing; no prose is to be expected of it."""
_PATIENCE_SECONDS = 10


def locate(base: str, folder: Path) -> str:
    """A folder, absolute, where `base` names one (relative to the job's); otherwise a hub id."""
    path = folder / base
    if path.is_dir():
        return str(path.resolve())
    if base.startswith((".", "/", "~")) or base.count("/") > 1:
        raise InvalidInput(f"base {base!r}: no such folder; name a folder or a hub id")
    return base


def is_nano(base: str) -> bool:
    """Whether the located base is one of `pretrain_nano`."""
    return (Path(base) / NANO_MARK).is_file()


def load_tokenizer(base: str) -> "PreTrainedTokenizerBase":
    """With a padding token and a chat template. Raises InvalidInput or BackendUnavailable."""
    from transformers import AutoTokenizer

    if not Path(base).is_dir():
        _ask_hub(base)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(base)
    except Exception as error:
        raise cannot_load(base, error) from None
    if not tokenizer.chat_template:
        raise InvalidInput(f"base {base!r} has no chat template; name an instruct model")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer  # type: ignore[no-any-return]


def _ask_hub(base: str) -> None:
    """Ask once for the model; the loaders below would ask a hub that is not there for a minute."""
    from huggingface_hub import model_info

    if is_whole_in_cache(base):
        return
    try:
        model_info(base, timeout=_PATIENCE_SECONDS)
    except Exception as error:
        raise cannot_load(base, error) from None


def load_config(base: str) -> Any:
    """Its `config.json`, no weights. Raises InvalidInput or BackendUnavailable."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(base)
    except Exception as error:
        raise cannot_load(base, error) from None


def load_model(
    base: str, device: DeviceUse, *, four_bit: bool = False, shards: int = 1
) -> "PreTrainedModel":
    """In the device's precision and on it. Raises InvalidInput or BackendUnavailable.

    `shards` above 1: cut up over all processes of this run, which must be as many.
    """
    import torch
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    options: dict[str, Any] = {"dtype": getattr(torch, device.precision)}
    if shards > 1:
        model = load_sharded(
            lambda: _read_model(base, **options), lambda: _empty_model(base, **options), device
        )
    else:
        if device.name == "cuda":
            options["device_map"] = {"": int(os.environ.get("LOCAL_RANK", "0"))}
        if four_bit:
            expect_four_bit(device, here=True)
            options["quantization_config"] = _four_bit(device)
        model = _read_model(base, **options)
    model.config.use_cache = False
    return model  # type: ignore[no-any-return]


def _read_model(base: str, **options: Any) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(base, **options)
    except Exception as error:
        raise cannot_load(base, error) from None


def _empty_model(base: str, **options: Any) -> Any:
    """Its shape without numbers, on torch's meta device."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(load_config(base), **options)  # type: ignore[no-untyped-call]


def expect_four_bit(device: DeviceUse, *, here: bool) -> None:
    """Raises InvalidInput without CUDA or, where the device is this machine's, bitsandbytes."""
    if device.name != "cuda" or (here and find_spec("bitsandbytes") is None):
        missing = "a CUDA device" if device.name != "cuda" else "bitsandbytes"
        raise InvalidInput(f"quantization '4bit' needs {missing}; set quantization: none")


def _four_bit(device: DeviceUse) -> Any:
    """NF4 with double quantisation (QLoRA, arXiv 2305.14314)."""
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, device.precision),
    )


def cannot_load(base: str, error: Exception) -> Exception:
    """The same failure in one line that says what to do about it."""
    problem = str(error).strip().partition("\n")[0]
    if Path(base).is_dir():
        return InvalidInput(f"base {base!r} holds no model that can be read: {problem}")
    if _is_unknown(error):
        return InvalidInput(f"the hub has no model {base!r} for you; check the name, or your token")
    if _is_unreachable(error):
        return BackendUnavailable(
            f"base {base!r} is not here and the hub cannot be reached; name a folder that holds "
            "the model, or base: nano"
        )
    return InvalidInput(f"cannot load base {base!r}: {problem}")


def _is_unknown(error: BaseException | None) -> bool:
    return _any_cause(error, ("RepositoryNotFoundError", "GatedRepoError", "HFValidationError"))


def _is_unreachable(error: BaseException | None) -> bool:
    names = ("ConnectError", "ConnectTimeout", "ConnectionError", "LocalEntryNotFoundError")
    return (
        os.environ.get("HF_HUB_OFFLINE") == "1"
        or _any_cause(error, (*names, "OfflineModeIsEnabled", "ProxyError", "HfHubHTTPError"))
        or (error is not None and "couldn't connect to" in str(error).lower())
    )


def _any_cause(error: BaseException | None, names: tuple[str, ...]) -> bool:
    while error is not None:
        if type(error).__name__ in names:
            return True
        error = error.__cause__ or error.__context__
    return False


def read_nano_mark(base: str) -> dict[str, Any]:
    """What `pretrain_nano` wrote of how it was trained."""
    found: dict[str, Any] = json.loads((Path(base) / NANO_MARK).read_text("utf-8"))
    return found
