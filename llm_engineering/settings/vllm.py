"""The settings of a vLLM server of our own: how this machine runs the model.

All of it depends on the machine, so none of it is in a config: what is answered stays the same.
"""

from typing import Literal

from pydantic import Field

from llm_engineering.settings.section import Section


class VllmSettings(Section):
    """Answers from a vLLM server that is started, watched and ended here, with the version in
    production (`make vllm-env`)."""

    kind: Literal["vllm"]
    command: str = ""
    """Its `vllm`; when not set, that of .venv-vllm, else the one on the PATH."""
    max_model_len: int = Field(default=0, ge=0)
    """Tokens of a prompt and its answer. 0: what the answers' config can use, or the model's own
    limit where that is less."""
    quantization: Literal["none", "fp8", "awq"] = "none"
    """Of the base's weights: `fp8` is computed at the start, for `awq` the base is stored so."""
    speculation: Literal["none", "ngram"] = "none"
    """`ngram`: guess the next tokens from the prompt; pays off where answers quote it."""
    speculative_tokens: int = Field(default=4, ge=1)
    """Guessed at once."""
    gpu_memory: float = Field(default=0.9, gt=0, le=1)
    """Share of a GPU's memory; up to 0.45 a second server fits beside this one, for a promotion to
    another base."""
    cpu_cache_gb: int = Field(default=1, ge=1)
    """Of keys and values, where it runs on the CPU."""
    tool_parser: str = ""
    """How the base writes calls, e.g. `hermes`; when set, requests with `tools` are passed on."""
    arguments: str = ""
    """More of `vllm serve`, as in a shell."""
    start_timeout_s: float = Field(default=900.0, gt=0)
    """Longest time that a start may take."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Longest silence: before a whole answer, or between two pieces of a streamed one."""
    deaths: int = Field(default=5, ge=1)
    """Starts in a row that may end within two minutes, before it is given up."""
    patient: bool = True
    """Whoever asks before the first start is done waits for it; `twin serve` says 503 instead."""
