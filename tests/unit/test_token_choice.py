"""Tokens are drawn as their probabilities say, row by row."""

import numpy as np
import pytest
import torch

from llm_engineering.infrastructure.decoding import token_choice
from llm_engineering.infrastructure.decoding.token_choice import Choice, choose

DRAWS = 4_000


def choice(
    temperature: float = 1.0, *, top_p: float = 1.0, top_k: int = 0, seed: int = 0
) -> Choice:
    return Choice(temperature, top_p, top_k, np.random.default_rng(seed))


def shares(logits: list[float], given: Choice) -> list[float]:
    """How often each token is drawn."""
    rows = torch.tensor([logits])
    drawn = [choose(rows, [given])[0] for _ in range(DRAWS)]
    return [drawn.count(token) / DRAWS for token in range(len(logits))]


def expected(logits: list[float], temperature: float = 1.0) -> list[float]:
    found: list[float] = torch.softmax(torch.tensor(logits) / temperature, 0).tolist()
    return found


LOGITS = [2.0, 1.0, 0.0, -1.0, -30.0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_by_their_probabilities(temperature: float) -> None:
    assert shares(LOGITS, choice(temperature)) == pytest.approx(
        expected(LOGITS, temperature), abs=0.03
    )


def test_at_temperature_zero_it_is_the_likeliest() -> None:
    rows = torch.tensor([LOGITS, LOGITS[::-1]])
    assert choose(rows, [choice(0), choice(0)]) == [0, 4]


@pytest.mark.parametrize("first_look", [2, 1_024])
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"top_p": 0.5}, 1),
        ({"top_p": 0.7}, 2),
        ({"top_p": 0.95}, 3),
        ({"top_k": 2}, 2),
        ({"top_k": 3, "top_p": 0.7}, 2),
        ({"top_p": 1e-9}, 1),
    ],
)
def test_unlikely_tokens_are_left_out(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, float], kept: int, first_look: int
) -> None:
    monkeypatch.setattr(token_choice, "_LIKELIEST", first_look)
    mixed = [1, 4, 0, 3, 2]  # not in the order of their probabilities
    logits = [LOGITS[place] for place in mixed]
    total = sum(expected(LOGITS)[:kept])
    wanted = [expected(LOGITS)[place] / total if place < kept else 0 for place in mixed]
    assert shares(logits, choice(**given)) == pytest.approx(wanted, abs=0.03)  # type: ignore[arg-type]


def test_a_row_draws_the_same_whoever_is_beside_it() -> None:
    generator = torch.Generator().manual_seed(1)
    steps = [torch.randn((3, 500), generator=generator) for _ in range(20)]
    alone, beside = choice(seed=7, top_p=0.9), choice(seed=7, top_p=0.9)
    others = [choice(0), choice(1.5, seed=3)]
    first = [choose(step[1:2], [alone])[0] for step in steps]
    second = [choose(step, [others[0], beside, others[1]])[1] for step in steps]
    assert first == second
    assert len(set(first)) > 5


def test_numbers_that_are_none_give_no_token_and_spoil_no_row() -> None:
    rows = torch.tensor([LOGITS, [float("nan")] * 5, LOGITS])
    assert choose(rows, [choice(0), choice(1), choice(0)]) == [0, None, 0]
