"""Rows share sequences whole, and none sees another."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.recipes.packing import (
    Sequenced,
    alone,
    collate,
    columns,
    fitting,
    isolated,
    pack,
)
from llm_engineering.recipes.turns import IGNORED, Tokens
from tests.chat_bases import tiny_base

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

LENGTHS = st.lists(st.integers(min_value=2, max_value=40), max_size=60)


def rows_of(lengths: list[int]) -> list[Tokens]:
    return [Tokens(tuple(range(n, n + length)), given=1) for n, length in enumerate(lengths)]


@given(lengths=LENGTHS)
def test_every_row_is_in_exactly_one_sequence_whole(lengths: list[int]) -> None:
    rows = rows_of(lengths)
    sequences = pack(rows, length=40)
    assert Counter(row for found in sequences for row in found.rows) == Counter(rows)
    assert all(found.length <= 40 for found in sequences)


@given(lengths=LENGTHS)
def test_no_two_sequences_would_fit_into_one(lengths: list[int]) -> None:
    """Best fit leaves at most one sequence half empty."""
    sequences = pack(rows_of(lengths), length=40)
    assert sum(found.length <= 20 for found in sequences) <= 1


def test_a_row_that_is_too_long_is_counted_and_never_cut() -> None:
    rows = rows_of([5, 41, 40, 99])
    assert fitting(rows, length=40) == ((rows[0], rows[2]), 2)
    with pytest.raises(ValueError, match="99 tokens does not fit into 40"):
        pack(rows, length=40)


@pytest.mark.parametrize("make", [lambda rows: pack(rows, length=12), alone])
def test_positions_start_again_with_every_row_and_with_the_padding(make: Any) -> None:
    table = columns(make(rows_of([5, 4, 8, 3])))
    examples = [{name: table[name][n] for name in table} for n in range(len(table["input_ids"]))]
    batch = collate(examples, padding=99)
    longest = batch["input_ids"].shape[1]
    for number, lengths in enumerate(table["seq_lengths"]):
        used = sum(lengths)
        wanted = [place for length in (*lengths, longest - used) for place in range(length)]
        assert batch["position_ids"][number].tolist() == wanted
        assert batch["input_ids"][number, used:].tolist() == [99] * (longest - used)
        assert batch["labels"][number, used:].tolist() == [IGNORED] * (longest - used)


def test_a_row_is_not_learnt_as_what_follows_another() -> None:
    whole = Tokens((7, 8, 9), given=0)
    assert columns([Sequenced((whole, whole))])["labels"] == [[IGNORED, 8, 9, IGNORED, 8, 9]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_base(tmp_path_factory.mktemp("tiny")))


def test_a_packed_row_gets_the_logits_that_it_gets_by_itself(model: Any) -> None:
    rows = rows_of([9, 5, 7])
    table = columns(pack(rows, length=24))
    batch = collate([{name: table[name][0] for name in table}], padding=0)
    batch.pop("labels")
    with torch.no_grad():
        packed = model(**batch).logits[0]
    start = 0
    for length in table["seq_lengths"][0]:
        ids = torch.tensor([table["input_ids"][0][start : start + length]])
        with torch.no_grad():
            by_itself = model(input_ids=ids).logits[0]
        torch.testing.assert_close(packed[start : start + length], by_itself, atol=1e-5, rtol=1e-4)
        start += length


def test_a_model_that_looks_across_rows_is_found_out(model: Any) -> None:
    class Leaky(torch.nn.Module):  # type: ignore[misc, name-defined]
        """Reads a batch as one text, as models do that know nothing of packing."""

        device = torch.device("cpu")

        def get_input_embeddings(self) -> Any:
            return model.get_input_embeddings()

        def forward(self, input_ids: Any, position_ids: Any) -> Any:
            return model(
                input_ids=input_ids,
                position_ids=position_ids,
                attention_mask=torch.ones_like(input_ids),
            )

    assert isolated(model)
    assert not isolated(Leaky())


def test_isolation_is_checked_in_any_mode_and_leaves_it(model: Any) -> None:
    model.train()
    assert isolated(model)
    assert model.training
    model.eval()


def test_the_padding_of_a_corpus_is_below_a_twentieth(tmp_path: Path) -> None:
    """Lengths as spans of real notes have them: many short, some near the limit."""
    generator = torch.Generator().manual_seed(0)
    lengths = (40 + torch.rand(1_500, generator=generator) ** 3 * 470).int().tolist()
    table = columns(pack(rows_of(lengths), length=512))
    real = places = 0
    order = torch.randperm(len(table["input_ids"]), generator=generator).tolist()
    for first in range(0, len(order), 4):
        examples = [{n: table[n][i] for n in table} for i in order[first : first + 4]]
        places += collate(examples, padding=0)["input_ids"].numel()
        real += sum(len(example["input_ids"]) for example in examples)
    assert real == sum(lengths)
    assert 1 - real / places < 0.05
