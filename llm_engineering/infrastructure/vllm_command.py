"""`vllm serve` as a command: which one it is, its arguments, its environment.

It listens on a Unix socket in a folder that nobody else may enter. The key alone would not do:
vLLM asks for it below /v1 only, and `/adapters`, `/invocations` and `/tokenize` are beside that.

Does not know: processes.
"""

import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.templates import TEMPLATE_OPTIONS
from llm_engineering.infrastructure.served_models import Served

BASE_NAME = "base"
"""What a server calls the model below the adapters; no version is called so."""
ADAPTERS = 2
"""In one batch: during a swap the old version answers beside the new one."""
ADAPTERS_IN_MEMORY = 4

_OWN_ENVIRONMENT = Path(".venv-vllm/bin/vllm")
_GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Of NVIDIA, of AMD, and of either under Windows."""
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""That vLLM has room for (vllm/config/lora.py)."""
_OURS = (
    *("--host", "--port", "--uds", "--api-key", "--served-model-name", "--max-model-len"),
    *("--enable-lora", "--lora-modules", "--max-lora-rank", "--model"),
)


@dataclass(frozen=True, slots=True)
class VllmOptions:
    """How this machine runs the model."""

    executable: Path
    max_model_len: int
    quantization: Literal["none", "fp8", "awq"] = "none"
    speculation: Literal["none", "ngram"] = "none"
    speculative_tokens: int = 4
    gpu: bool = False
    gpu_memory: float = 0.9
    cpu_cache_gb: int = 1
    tool_parser: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def two_fit(self) -> bool:
        """Whether a second server can start beside the first.

        A server takes its share of a GPU's memory at once, whatever it needs of it.
        """
        return not self.gpu or self.gpu_memory <= 0.45


def find_vllm(command: str) -> Path:
    """The `vllm` that is named, or the one that is here. Raises InvalidInput."""
    named = command or (str(_OWN_ENVIRONMENT) if _OWN_ENVIRONMENT.exists() else "vllm")
    found = shutil.which(named)
    if found is None:
        fix = "correct TWIN_CHAT__COMMAND" if command else "'make vllm-env' installs it"
        raise InvalidInput(f"no command {named!r} to serve with; {fix}")
    return Path(found).absolute()


def has_gpu() -> bool:
    return any(Path(device).exists() for device in _GPUS)


def own_arguments(text: str) -> tuple[str, ...]:
    """Raises InvalidInput for what is ours to say."""
    try:
        given = tuple(shlex.split(text))
    except ValueError as error:
        raise InvalidInput(f"TWIN_CHAT__ARGUMENTS: {error}; quote it as in a shell") from None
    taken = [each for each in given if each.partition("=")[0].replace("_", "-") in _OURS]
    if taken:
        raise InvalidInput(
            f"TWIN_CHAT__ARGUMENTS holds {taken[0]!r}, which is set here; leave it out"
        )
    return given


def command(served: Served, options: VllmOptions, *, socket: Path) -> list[str]:
    """As an argument list. The key is in the environment: every user can read command lines."""
    arguments = [
        *(str(options.executable), "serve", served.base, "--uds", str(socket)),
        *("--served-model-name", BASE_NAME if served.adapter else served.version),
        *("--max-model-len", str(_length(served.base, options.max_model_len))),
        *("--gpu-memory-utilization", str(options.gpu_memory)),
        *("--default-chat-template-kwargs", json.dumps(dict(TEMPLATE_OPTIONS))),
        *("--enable-prefix-caching", "--disable-uvicorn-access-log"),
    ]
    if served.adapter:
        arguments += [
            *("--enable-lora", "--max-lora-rank", str(room_for(served.room))),
            *("--max-loras", str(ADAPTERS), "--max-cpu-loras", str(ADAPTERS_IN_MEMORY)),
            *("--lora-modules", f"{served.version}={served.adapter}"),
        ]
    if options.quantization != "none":
        arguments += ["--quantization", options.quantization]
    if options.speculation != "none":
        guess = {"method": "ngram", "num_speculative_tokens": options.speculative_tokens}
        arguments += ["--speculative-config", json.dumps({**guess, "prompt_lookup_max": 4})]
    if options.tool_parser:
        arguments += ["--enable-auto-tool-choice", "--tool-call-parser", options.tool_parser]
    if not options.gpu:  # compiling takes a compiler and minutes there, and gains little
        arguments += ["--enforce-eager"]
    return [*arguments, *options.arguments]


def environment(
    served: Served, options: VllmOptions, *, key: str, environ: Mapping[str, str]
) -> dict[str, str]:
    """Ours, but for our settings, whose secrets are none of its business, and our libraries."""
    ours = ("TWIN_", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    kept = {name: value for name, value in environ.items() if not name.startswith(ours)}
    said = {"VLLM_API_KEY": key, "VLLM_NO_USAGE_STATS": "1", "PYTHONUNBUFFERED": "1"}
    if served.adapter:
        said["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "True"
    if Path(served.base).is_dir():
        said["HF_HUB_OFFLINE"] = "1"
    if not options.gpu:
        said.setdefault("VLLM_CPU_KVCACHE_SPACE", str(options.cpu_cache_gb))
    return kept | said


def room_for(rank: int) -> int:
    """The least room that takes it. Raises InvalidInput past the largest."""
    found = next((room for room in _RANKS if room >= rank), None)
    if found is None:
        raise InvalidInput(
            f"the adapter has rank {rank} and vLLM takes {_RANKS[-1]}; train with a lower one"
        )
    return found


def _length(base: str, wanted: int) -> int:
    """At most the model's own limit, where it says one."""
    try:
        config = json.loads((Path(base) / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return wanted
    own = (config.get("text_config") or config).get("max_position_embeddings")
    return min(wanted, own) if isinstance(own, int) else wanted
