"""Several rows in one sequence, each alone in it: none is cut, none sees another.

Rows are placed by best fit decreasing. In a batch every row's positions start at 0 again and there
is no attention mask, from which the models of transformers build a block-diagonal one; padding is a
row of its own at the end. `isolated` proves it for the model at hand.

Does not know: texts, templates, losses.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_engineering.recipes.turns import IGNORED, Tokens

if TYPE_CHECKING:
    import torch

_CLOSE = 2e-2
"""Relative; bf16 has 8 bits of mantissa, and rows of another length are summed in another order."""


@dataclass(frozen=True)
class Sequenced:
    """Rows that share one sequence, in order."""

    rows: tuple[Tokens, ...]

    @property
    def length(self) -> int:
        return sum(len(row.ids) for row in self.rows)


def fitting(rows: Sequence[Tokens], *, length: int) -> tuple[tuple[Tokens, ...], int]:
    """The rows of at most `length` tokens, and how many are longer: those are never cut."""
    kept = tuple(row for row in rows if len(row.ids) <= length)
    return kept, len(rows) - len(kept)


def pack(rows: Sequence[Tokens], *, length: int) -> tuple[Sequenced, ...]:
    """Best fit decreasing (Johnson, 1974): the fullest sequence that still has room.

    Every row is in exactly one sequence, whole. Raises ValueError for a row above `length`.
    """
    bins: list[list[Tokens]] = []
    rooms: list[tuple[int, int]] = []  # (room left, number of the sequence), ascending
    for row in sorted(rows, key=lambda row: -len(row.ids)):
        needed = len(row.ids)
        if needed > length:
            raise ValueError(f"a row of {needed} tokens does not fit into {length}")
        place = bisect_left(rooms, (needed, -1))
        if place < len(rooms):
            room, number = rooms.pop(place)
            bins[number].append(row)
        else:
            room, number = length, len(bins)
            bins.append([row])
        insort(rooms, (room - needed, number))
    return tuple(Sequenced(tuple(found)) for found in bins)


def alone(rows: Sequence[Tokens]) -> tuple[Sequenced, ...]:
    """One row in each sequence."""
    return tuple(Sequenced((row,)) for row in rows)


def columns(sequences: Sequence[Sequenced]) -> dict[str, list[list[int]]]:
    """What a trainer's data set holds; `collate` makes batches of its rows."""
    return {
        "input_ids": [[i for row in s.rows for i in row.ids] for s in sequences],
        "labels": [[i for row in s.rows for i in _labels(row)] for s in sequences],
        "seq_lengths": [[len(row.ids) for row in s.rows] for s in sequences],
    }


def _labels(row: Tokens) -> tuple[int, ...]:
    """The first token of a row follows the last of another and is no continuation of it."""
    return (IGNORED, *row.labels[1:])


def collate(
    examples: Sequence[Mapping[str, list[int]]], *, padding: int
) -> "dict[str, torch.Tensor]":
    """A batch: input_ids, labels and position_ids, each (sequences, longest)."""
    import torch

    longest = max(len(example["input_ids"]) for example in examples)
    shape = (len(examples), longest)
    ids = torch.full(shape, padding)
    labels = torch.full(shape, IGNORED)
    positions = torch.zeros(shape, dtype=torch.long)
    for number, example in enumerate(examples):
        used = len(example["input_ids"])
        ids[number, :used] = torch.tensor(example["input_ids"])
        labels[number, :used] = torch.tensor(example["labels"])
        lengths = [*example["seq_lengths"], longest - used]
        positions[number] = torch.cat([torch.arange(length) for length in lengths])
    return {"input_ids": ids, "labels": labels, "position_ids": positions}


def isolated(model: Any) -> bool:
    """Whether a row is read the same beside another row as by itself, by this very model."""
    import torch

    vocabulary = model.get_input_embeddings().num_embeddings
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randint(vocabulary, (2, 1, 8), generator=generator).to(model.device)
    positions = torch.arange(8, device=model.device)[None]
    was_training = model.training
    model.eval()
    bf16 = any(weight.dtype is torch.bfloat16 for weight in model.parameters())
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
        by_itself = model(input_ids=second, position_ids=positions).logits.float()
        beside = model(
            input_ids=torch.cat([first, second], dim=1),
            position_ids=torch.cat([positions, positions], dim=1),
        ).logits[:, 8:]
    model.train(was_training)
    difference = (beside.float() - by_itself).norm() / by_itself.norm()
    return bool(difference < _CLOSE)
