"""How many processes a recipe is run by, and starting them: one for each GPU.

A recipe that trains through a trainer shares its steps between processes. Each of them finds its
part in the environment that torch reads (RANK, WORLD_SIZE, …), set here, by `accelerate launch` or
by torchrun. One process never spreads over several GPUs: a trainer would copy the model to all of
them at every step (`nn.DataParallel`).

Does not know: what a recipe does.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from types import FrameType

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.training import DeviceUse

SHARING = ("sft", "dpo", "kto")
"""Recipes whose steps several processes share."""
_GRACE_S = 20.0
"""For the others when one has failed: they may wait for it within a library."""
_POLL_S = 0.05


@dataclass(frozen=True)
class Processes:
    """How many run a recipe together, and why so many."""

    count: int
    reason: str
    running: bool = False
    """Whether this process is one of them."""


def processes_for(recipe: str, *, devices: int) -> Processes:
    """On a machine with so many CUDA devices. The one rule: runs and preflights go by it."""
    if devices == 0:
        return Processes(1, "no CUDA device")
    if devices == 1:
        return Processes(1, "one CUDA device")
    if recipe not in SHARING:
        return Processes(1, f"{recipe} uses one of {devices} CUDA devices")
    return Processes(devices, f"one for each of {devices} CUDA devices")


def processes_here(recipe: str) -> Processes:
    """Of this machine; those that are running together already count themselves.

    Raises InvalidInput where accelerate would cut up the adapter as well.
    """
    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        raise InvalidInput(
            "recipes cut up a base themselves where one device does not hold it; launch with "
            "configs/accelerate/gpus.yaml, or without a launcher"
        )
    if (known := os.environ.get("WORLD_SIZE")) is not None:
        if known == "1":  # a trainer would take all devices that it sees
            seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
            os.environ["CUDA_VISIBLE_DEVICES"] = seen.partition(",")[0]
        return Processes(int(known), "as it was launched", running=True)
    return processes_for(recipe, devices=_cuda_devices() if recipe in SHARING else 0)


def _cuda_devices() -> int:
    """That may be seen (CUDA_VISIBLE_DEVICES)."""
    if find_spec("torch") is None:  # whoever needs it says so
        return 0
    import torch

    return torch.cuda.device_count()


def least_of_all(value: float, device: DeviceUse) -> float:
    """Of the values that the processes of this run have: they must decide alike."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return value
    import torch
    from accelerate import PartialState
    from torch.distributed import ReduceOp, all_reduce

    together = PartialState(cpu=device.name == "cpu")
    found = torch.tensor(value, dtype=torch.float64, device=together.device)
    all_reduce(found, op=ReduceOp.MIN)
    return float(found)


def leave_the_others() -> None:
    """At the end, where processes were together: what still listens would abort this one."""
    if "torch.distributed" not in sys.modules:
        return
    from torch.distributed import destroy_process_group, is_initialized

    if is_initialized():
        destroy_process_group()


def run_together(command: Sequence[str], *, count: int) -> int:
    """Run `command` as so many processes of this machine; the exit code of the first that fails.

    Where a signal ended that one, this process ends by the same: whoever started it is to see what
    happened, such as the kernel's kill for memory. SIGTERM is passed on to all. When one fails, the
    others are ended.
    """
    shared = {
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
    }
    running = [
        subprocess.Popen(
            command,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(count)
    ]

    def pass_on(number: int, _: FrameType | None) -> None:
        for each in running:
            each.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        code = _until_ended(running)
    finally:
        signal.signal(signal.SIGTERM, before)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _until_ended(running: "Sequence[subprocess.Popen[bytes]]") -> int:
    while True:
        codes = [each.poll() for each in running]
        if failed := [code for code in codes if code]:
            _end(running)
            return failed[0]
        if all(code == 0 for code in codes):
            return 0
        time.sleep(_POLL_S)


def _end(running: "Sequence[subprocess.Popen[bytes]]") -> None:
    """First by asking, which a process that was asked to stop already is about to do."""
    deadline = time.monotonic() + _GRACE_S
    for each in running:
        each.terminate()
    for each in running:
        try:
            each.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            each.kill()
            each.wait()


def module_command(recipe: str, arguments: Sequence[str]) -> list[str]:
    """What runs the recipe as one process."""
    return [sys.executable, "-m", f"llm_engineering.recipes.{recipe}", *arguments]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
