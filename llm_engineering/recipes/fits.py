"""Whether a job fits where it is to run, and how: every recipe that loads a base asks here first.

Does not know: data, time, prices.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.training import (
    DpoJob,
    GenerateJob,
    KtoJob,
    LoraRule,
    MergeJob,
    SftJob,
)
from llm_engineering.recipes.bases import expect_four_bit
from llm_engineering.recipes.estimates import (
    Memory,
    Shape,
    memory_of,
    memory_of_answers,
    memory_of_merging,
)
from llm_engineering.recipes.places import HERE, Room

Trained = SftJob | DpoJob | KtoJob

MARGIN = 1.15
"""Allocators keep more than is in use."""
PROCESS_MB = 900
"""Interpreter and libraries, or a CUDA context."""
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Fit:
    """How a job fits, and what it then needs of one device."""

    memory: Memory
    recompute: bool = False
    """Layers are computed twice (activation checkpointing)."""
    shards: int = 1
    """Devices over which the base is cut up."""

    @property
    def how(self) -> str:
        """In words."""
        over = f", cut up over {self.shards} devices" if self.shards > 1 else ""
        twice = ", layers computed twice" if self.recompute else ""
        return f"needs {self.needed_mb / 1024:.1f} GiB of a device{over}{twice}"

    @property
    def needed_mb(self) -> float:
        return self.memory.needed * MARGIN + PROCESS_MB


def fit_training(job: Trained, shape: Shape, lora: LoraRule, room: Room) -> Fit:
    """The fastest way to fit: whole on each device, with layers computed twice, or cut up.

    Raises InvalidInput where it does not fit at all, or cannot be quantised there.
    """
    four_bit = _four_bit(job.quantization, room)
    # Of preferences two answers go through the model at once, in one sequence.
    answers = 2 if isinstance(job, DpoJob | KtoJob) else 1
    for shards, recompute in _ways(room, four_bit=four_bit):
        memory = memory_of(
            shape,
            lora,
            sequences=job.optimizer.batch_size,
            length=job.optimizer.max_length * answers,
            measured=job.optimizer.max_length,
            bytes_each=BYTES[room.device.precision],
            four_bit=four_bit,
            recompute=recompute,
            shards=shards,
        )
        fit = Fit(memory, recompute, shards)
        if fit.needed_mb <= room.memory_mb:
            return fit
    helps = "optimizer.batch_size or max_length, set quantization: 4bit"
    raise _too_small(job.base, fit, room, helps)


def fit_answering(
    job: GenerateJob, shape: Shape, lora: LoraRule | None, room: Room, *, longest: int
) -> Fit:
    """`longest`: tokens of the longest prompt. Raises InvalidInput as above."""
    fit = Fit(
        memory_of_answers(
            shape,
            lora,
            sequences=job.batch_size,
            prompt=longest,
            said=job.max_tokens,
            bytes_each=BYTES[room.device.precision],
            four_bit=_four_bit(job.quantization, room),
        )
    )
    if fit.needed_mb > room.memory_mb:
        raise _too_small(job.base, fit, room, "batch_size or max_tokens, set quantization: 4bit")
    return fit


def fit_merging(job: MergeJob, shape: Shape, lora: LoraRule, room: Room) -> Fit:
    """On the CPU, in the base's own precision. Raises InvalidInput where it does not fit."""
    fit = Fit(memory_of_merging(shape, lora, bytes_each=BYTES[room.device.precision]))
    if fit.needed_mb > room.memory_mb:
        raise _too_small(job.base, fit, room, "what else this machine is doing, merge elsewhere")
    return fit


def _ways(room: Room, *, four_bit: bool) -> Iterator[tuple[int, bool]]:
    """Shards, and whether layers are computed twice; 4-bit weights cannot be cut up."""
    yield from ((1, False), (1, True))
    if room.device.count > 1 and not four_bit:
        yield from ((room.device.count, False), (room.device.count, True))


def _four_bit(quantization: str, room: Room) -> bool:
    if quantization == "4bit":
        expect_four_bit(room.device, here=room.name == HERE)
    return quantization == "4bit"


def _too_small(base: str, fit: Fit, room: Room, helps: str) -> InvalidInput:
    each = f" on each of {fit.shards} devices" if fit.shards > 1 else ""
    return InvalidInput(
        f"{base!r} needs {fit.needed_mb / 1024:.1f} GiB{each} and {room.name} has "
        f"{room.memory_mb / 1024:.1f} GiB ({fit.memory.weights / 1024:.1f} GiB are weights); lower "
        f"{helps}, or name a smaller base"
    )
