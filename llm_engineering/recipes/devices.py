"""What the machine computes with, how fast and in how much memory: measured, with reasons.

Does not know: models.
"""

import os
import resource
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from llm_engineering.domain.errors import MissingExtra
from llm_engineering.domain.training import DeviceUse

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
"""Of the extra; some are imported late, in the middle of the work."""
_TRIES = 5
_MEGABYTE = 1024 * 1024


def detect_device() -> DeviceUse:
    """CUDA when there is one; bf16 where the device multiplies it. Raises MissingExtra."""
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingExtra(package, extra="train")
    import torch

    count = int(os.environ.get("WORLD_SIZE", "1"))
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        found = f"found {torch.cuda.get_device_name()}"
        reason = f"{found}; {'it multiplies bf16' if bf16 else 'no bf16, so f32'}"
        return DeviceUse(name="cuda", precision=_precision(bf16), reason=reason, count=count)
    can = torch.cpu.get_capabilities()
    fast = next((name for name in ("amx_bf16", "amx_tile", "avx512_bf16") if can.get(name)), "")
    reason = f"no CUDA device; the CPU {f'multiplies bf16 ({fast})' if fast else 'has no bf16'}"
    return DeviceUse(name="cpu", precision=_precision(bool(fast)), reason=reason, count=count)


def _precision(bf16: bool) -> Literal["bfloat16", "float32"]:
    return "bfloat16" if bf16 else "float32"


def matmul_rate(device: DeviceUse) -> float:
    """Floating point operations per second of a large matrix product: the ceiling of MFU."""
    import torch

    size = 8_192 if device.name == "cuda" else 2_048
    kind = torch.bfloat16 if device.precision == "bfloat16" else torch.float32
    left = torch.ones(size, size, dtype=kind, device=device.name)
    seconds = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        left @ left
        wait_for(device)
        seconds.append(time.perf_counter() - started)
    return float(2 * size**3 / min(seconds))


def wait_for(device: DeviceUse) -> None:
    """Until the device has done what it was given; a clock read before that means nothing."""
    if device.name == "cuda":
        import torch

        torch.cuda.synchronize()


def peak_memory_mb(device: DeviceUse) -> float:
    """Of the device since the process began; on a CPU, of the process."""
    if device.name == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / _MEGABYTE
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _MEGABYTE if sys.platform == "darwin" else peak / 1024


def memory_mb(device: DeviceUse) -> float:
    """Free on the device now; on a CPU, what the machine and the process's limit allow."""
    if device.name == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info()
        return free / _MEGABYTE
    free_mb = _available_mb()
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return free_mb if limit == resource.RLIM_INFINITY else min(free_mb, limit / _MEGABYTE)


def _available_mb() -> float:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) / 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _MEGABYTE
