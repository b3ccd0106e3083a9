"""How long a text is in the tokens of a model, counted here.

A server can count too, but evidence is put together sentence by sentence: asking for each takes
longer than finding it.
"""

from collections.abc import Callable
from pathlib import Path

_FILE = "tokenizer.json"


def local_counter(base: str) -> Callable[[str], int] | None:
    """By the tokenizer of a folder, or of a hub id that was downloaded; None where there is none
    here. Special tokens are not counted. Safe to use from threads."""
    try:
        from huggingface_hub import try_to_load_from_cache
        from tokenizers import Tokenizer
    except ImportError:
        return None
    found = Path(base) / _FILE
    if not Path(base).is_dir():
        cached = try_to_load_from_cache(base, _FILE)
        if not isinstance(cached, str):
            return None
        found = Path(cached)
    if not found.is_file():
        return None
    tokenizer = Tokenizer.from_file(str(found))

    def count(text: str) -> int:
        whole = text.encode(errors="replace").decode()  # half a surrogate pair is refused
        return len(tokenizer.encode(whole, add_special_tokens=False).ids)

    return count
