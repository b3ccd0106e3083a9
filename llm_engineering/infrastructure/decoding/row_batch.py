"""Rows that share the passes of one base: each pass computes as many of them as it can.

Rows join and leave between two passes (iteration-level scheduling: Yu et al., "Orca", OSDI 2022).
Prompts are read in parts, between which the others go on (Agrawal et al., arXiv 2308.16369).

Does not know: threads, versions, who asked.
"""

import logging
from collections.abc import Sequence
from typing import Any

from llm_engineering.domain.errors import BackendUnavailable, MissingExtra
from llm_engineering.infrastructure.decoding.local_base import LocalBase
from llm_engineering.infrastructure.decoding.ragged_cache import RaggedCache, Reading
from llm_engineering.infrastructure.decoding.rows import Row
from llm_engineering.infrastructure.decoding.token_choice import choose

try:
    import torch
except ModuleNotFoundError as error:
    raise MissingExtra("torch", extra="train") from error

log = logging.getLogger(__name__)

PROMPT_TOKENS = {"cpu": 256, "cuda": 2_048}
"""Of prompts, read in one pass: more would keep those waiting who are already being answered."""


class RowBatch:
    """For one thread."""

    def __init__(self, base: LocalBase) -> None:
        self._base = base
        self._cache = RaggedCache()
        self._rows: list[Row] = []
        """A row's place here is its slot in the cache."""
        self._at_once = PROMPT_TOKENS[base.device.name]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(self._rows)

    def join(self, row: Row) -> None:
        self._rows.append(row)

    @torch.inference_mode()
    def step(self) -> None:
        """Read part of the prompts that are not read, and say a token of all other answers."""
        for row in [row for row in self._rows if row.left]:
            self._leave(row)
        if reading := self._next_prompts():
            self._advance(reading)
        if speaking := [row for row in self._rows if row.unread == 1]:
            self._advance(speaking)

    def _next_prompts(self) -> list[Row]:
        """Those that came first, and as many after them as fit a pass."""
        found: list[Row] = []
        width = 0
        for row in self._rows:
            if row.unread == 1:
                continue
            wider = max(width, min(row.unread, self._at_once))
            if found and wider * (len(found) + 1) > self._at_once:
                break
            found.append(row)
            width = wider
        return found

    def _advance(self, rows: Sequence[Row]) -> None:
        """One pass over `rows`; what fails for all of them is tried for each by itself, so that
        only who fails alone is given up."""
        try:
            tokens = self._computed(rows)
        except Exception as error:
            if len(rows) == 1:
                log.exception("an answer failed")
                self._give_up(rows[0], error)
                return
            log.warning("%d answers failed together, each goes on by itself: %s", len(rows), error)
            for row in rows:
                self._advance([row])
        else:
            self._say(rows, tokens)

    def _computed(self, rows: Sequence[Row]) -> list[int | None]:
        """The next token of each row that is read to its end by this pass; None for no numbers.

        Raises whatever torch does; the rows are as they were then.
        """
        parts = [min(row.unread, self._at_once) for row in rows]
        width = max(parts)
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        positions = torch.tensor([[row.read] for row in rows]) + torch.arange(width)
        for place, (row, part) in enumerate(zip(rows, parts, strict=True)):
            ids[place, :part] = torch.tensor(row.tokens[row.read : row.read + part])
        complete = [
            p for p, (row, n) in enumerate(zip(rows, parts, strict=True)) if n == row.unread
        ]
        logits = self._base.logits(
            ids,
            positions,
            adapters=[row.served.adapter for row in rows],
            cache=self._cache,
            reading=Reading([self._rows.index(row) for row in rows], positions),
            lasts=[(place, parts[place] - 1) for place in complete],
        )
        tokens = choose(logits, [rows[place].choice for place in complete]) if complete else []
        for row, part in zip(rows, parts, strict=True):
            row.read += part
        return tokens

    def _say(self, rows: Sequence[Row], tokens: Sequence[int | None]) -> None:
        complete = [row for row in rows if not row.unread]
        for row, token in zip(complete, tokens, strict=True):
            if token is None:
                self._give_up(row, ArithmeticError("it computed no numbers"))
                continue
            try:
                goes_on = row.say(token)
            except Exception as error:
                log.exception("an answer failed")
                self._give_up(row, error)
            else:
                if not goes_on:
                    self._leave(row)

    def _give_up(self, row: Row, error: Exception) -> None:
        self._leave(row)
        row.fail(failed(row.served.version, error))

    def _leave(self, row: Row) -> None:
        """The last row takes its slot."""
        slot, last = self._rows.index(row), len(self._rows) - 1
        if slot != last:
            self._cache.move(last, to=slot)
            self._rows[slot] = self._rows[last]
        self._cache.clear(last)
        self._rows.pop()


def failed(version: str, error: BaseException) -> BackendUnavailable:
    """In one line; the log has the rest."""
    problem: Any = str(error).strip().partition("\n")[0][:200] or type(error).__name__
    return BackendUnavailable(f"{version} failed while it answered: {problem}; ask again")
