"""Keys and values of rows of different lengths, which come and go between two steps.

A row has a slot, and what it has read lies at the slot's beginning, in order: nothing is padded on
the left, so a row that joins or leaves moves nobody. What lies behind a row's end is finite, never
attended to, and written over before it would be.

Does not know: tokens, models, who answers whom.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llm_engineering.domain.errors import MissingExtra

try:
    import torch
    from transformers.cache_utils import Cache
except ModuleNotFoundError as error:
    raise MissingExtra(error.name or "torch", extra="train") from error

BLOCK = 256
"""Tokens by which room grows, so that it seldom does."""


@dataclass(frozen=True)
class Reading:
    """Where the tokens of one pass belong."""

    slots: Sequence[int]
    positions: torch.Tensor
    """(rows, tokens): of each token in its row."""

    @property
    def end(self) -> int:
        return int(self.positions[:, -1].max()) + 1


class RaggedCache(Cache):
    """As a model of transformers takes it; `reads` says what the next pass is about."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        """(slots, heads, tokens, width) of keys and of values."""
        self._slots, self._tokens = 0, 0

    def reads(self, reading: Reading) -> None:
        """Make room; until the next call, every layer is written and read there."""
        self._slots = max(self._slots, max(reading.slots) + 1)
        self._tokens = max(self._tokens, -(-reading.end // BLOCK) * BLOCK)
        first, rows = reading.slots[0], len(reading.slots)
        together = list(reading.slots) == list(range(first, first + rows))
        device = reading.positions.device
        self._rows: Any = (
            slice(first, first + rows)  # a view
            if together
            else torch.tensor(reading.slots, device=device)
        )
        self._write = torch.tensor(reading.slots, device=device)[:, None]
        self._positions, self._end = reading.positions, reading.end

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: Any,
        **__: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the pass's tokens; returns all that its rows may attend to."""
        written = []
        for store, states in zip(
            self._layer(layer_idx, key_states, value_states),
            (key_states, value_states),
            strict=True,
        ):
            store[self._write, :, self._positions] = states.transpose(1, 2)
            written.append(store[self._rows, :, : self._end])
        return written[0], written[1]

    def move(self, slot: int, to: int) -> None:
        """The row in `slot` is in `to` from now on, over whatever is there."""
        for store in self._stores():
            if slot < len(store):  # else it has read nothing yet
                store[to] = store[slot]

    def clear(self, slot: int) -> None:
        """A row that computed no numbers must leave none behind: they would spread."""
        for store in self._stores():
            if slot < len(store):
                store[slot] = 0

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002  rows have their own
        return 0

    def _stores(self) -> list[torch.Tensor]:
        return [store for pair in self._layers.values() for store in pair]

    def _layer(
        self, number: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        found = self._layers.get(number)
        if found is None or found[0].shape[0] < self._slots or found[0].shape[2] < self._tokens:
            old = found or (None, None)
            found = self._grown(old[0], keys), self._grown(old[1], values)
            self._layers[number] = found
        return found

    def _grown(self, old: torch.Tensor | None, states: torch.Tensor) -> torch.Tensor:
        _, heads, _, width = states.shape
        grown = states.new_zeros((self._slots, heads, self._tokens, width))
        if old is not None:
            grown[: old.shape[0], :, : old.shape[2]] = old
        return grown
