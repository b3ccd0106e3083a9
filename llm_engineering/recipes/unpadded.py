"""A forward pass without padding, for trainers that pad: several rows share a sequence.

TRL's preference trainers make a batch of rows as long as its longest, and a preferred and a
rejected answer are seldom of one length: a quarter of what they compute on is padding. `Unpadded`
stands where they call the model. It takes their padded batch, lays its rows end to end (packing.py
says how rows of one sequence are kept apart), and gives back each token's figures where the padded
batch has them, so that losses and metrics stay the trainer's own.

Does not know: which loss is trained.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_engineering.recipes.packing import collate
from llm_engineering.recipes.turns import IGNORED

if TYPE_CHECKING:
    import torch

PLACES = "places"
"""In a batch: places of all sequences that go through the model for it."""
_FIELDS = ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1")
"""What TRL's fused output layer tells of each token."""

Layout = tuple[tuple[int, ...], ...]
"""Numbers of the rows that share a sequence, for each sequence."""


def layout_of(lengths: Sequence[int], *, length: int) -> Layout:
    """The one with the fewest places, of sequences of at most twice `length` tokens.

    No row is longer than `length`, so two always may share a sequence. For each number of sequences
    the longest rows are placed first, each where the least is (Graham, 1969): so the sequences come
    out about as long as each other.
    """
    most = 2 * length
    best: Layout = tuple((row,) for row in range(len(lengths)))
    for count in range(1, len(lengths)):
        found = _spread(lengths, count)
        longest = max(sum(lengths[row] for row in rows) for rows in found)
        if longest <= most and count * longest < places_of(best, lengths):
            best = found
    return best


def _spread(lengths: Sequence[int], count: int) -> Layout:
    rows: list[list[int]] = [[] for _ in range(count)]
    loads = [0] * count
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        least = loads.index(min(loads))
        rows[least].append(row)
        loads[least] += lengths[row]
    return tuple(tuple(found) for found in rows)


def places_of(layout: Layout, lengths: Sequence[int]) -> int:
    """Tokens and padding of all its sequences."""
    return len(layout) * max(sum(lengths[row] for row in rows) for rows in layout)


def counting_places(
    collator: Callable[[Sequence[Any]], Any], *, length: int
) -> Callable[[Sequence[Any]], Any]:
    """The same collator; its batches say how many places they take once they are laid out."""

    def counted(examples: Sequence[Any]) -> Any:
        batch = collator(examples)
        masks = [mask for name, mask in batch.items() if name.endswith("attention_mask")]
        lengths = [mask.sum(dim=1).tolist() for mask in masks]
        batch[PLACES] = sum(places_of(layout_of(each, length=length), each) for each in lengths)
        return batch

    return counted


@dataclass(frozen=True)
class Unpadded:
    """Stands for `model` where a trainer calls it with a padded batch and `fused_lm_head`."""

    model: Any
    length: int

    def __call__(
        self,
        *,
        input_ids: "torch.Tensor",
        attention_mask: "torch.Tensor",
        labels: "torch.Tensor",
        **options: Any,
    ) -> Any:
        lengths: list[int] = attention_mask.sum(dim=1).tolist()
        layout = layout_of(lengths, length=self.length)
        ids, learnt = input_ids.cpu(), labels.cpu()
        rows = [[(row, lengths[row]) for row in found] for found in layout]
        batch = collate([_example(ids, learnt, found) for found in rows], padding=0)
        device = input_ids.device
        told = self.model(**{name: each.to(device) for name, each in batch.items()}, **options)
        width = batch["input_ids"].shape[1] - 1
        back, known = _places_in_padded(layout, lengths, width=width, padded=input_ids.shape[1] - 1)
        back, known = back.to(device), known.to(device)
        for name in _FIELDS:
            if (values := getattr(told, name)) is not None:
                setattr(told, name, values.flatten()[back] * known.to(values.dtype))
        return told


def _example(
    input_ids: "torch.Tensor", labels: "torch.Tensor", rows: Sequence[tuple[int, int]]
) -> Mapping[str, list[int]]:
    """Rows (number, length) end to end; the first token of each follows no other."""
    return {
        "input_ids": [i for row, length in rows for i in input_ids[row, :length].tolist()],
        "labels": [i for row, length in rows for i in (IGNORED, *labels[row, 1:length].tolist())],
        "seq_lengths": [length for _, length in rows],
    }


def _places_in_padded(
    layout: Layout, lengths: Sequence[int], *, width: int, padded: int
) -> "tuple[torch.Tensor, torch.Tensor]":
    """For each token of the padded rows after its first: where its figures are, and if there are.

    Figures are of the next token: those of a row of n tokens begin where it does and are n - 1.
    """
    import torch

    back = torch.zeros(len(lengths), padded, dtype=torch.long)
    known = torch.zeros(len(lengths), padded, dtype=torch.bool)
    for number, rows in enumerate(layout):
        start = number * width
        for row in rows:
            count = lengths[row] - 1
            back[row, :count] = torch.arange(start, start + count)
            known[row, :count] = True
            start += lengths[row]
    return back, known
