"""What the hub's cache on this machine holds of a model: all that loading takes, or not.

Does not know: whether the hub answers.
"""

import json
from pathlib import Path

READ_FIRST = ("config.json", "tokenizer_config.json")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
INDEX = ".index.json"
"""Beside weights in several files, and says which."""


def is_whole_in_cache(base: str) -> bool:
    """Whether the hub's model can be loaded without the hub; a download may have been cut short."""
    if any(_cached(base, name) is None for name in READ_FIRST):
        return False
    return any(_cached(base, name) or _all_parts(base, name) for name in WEIGHTS)


def _all_parts(base: str, name: str) -> bool:
    index = _cached(base, name + INDEX)
    if index is None:
        return False
    try:
        parts = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError):
        return False
    return all(_cached(base, part) is not None for part in parts)


def _cached(base: str, name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(base, name)
    return Path(found) if isinstance(found, str) else None
