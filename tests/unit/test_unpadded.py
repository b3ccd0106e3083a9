"""Rows of a padded batch laid end to end, and their figures put back."""

import random

import pytest

from llm_engineering.recipes.unpadded import layout_of, places_of


def test_a_pair_shares_one_sequence_however_long_it_is() -> None:
    assert layout_of([900, 300], length=1_024) == ((0, 1),)
    assert layout_of([1_000, 1_024], length=1_024) == ((1, 0),)


def test_more_rows_share_sequences_of_about_one_length() -> None:
    lengths = [900, 100, 500, 480, 300, 720]
    found = layout_of(lengths, length=512)
    assert sorted(row for rows in found for row in rows) == [0, 1, 2, 3, 4, 5]
    assert places_of(found, lengths) == 3 * 1_020, "3,000 tokens in three sequences"


@pytest.mark.parametrize("seed", range(50))
def test_no_row_is_lost_and_nothing_is_wider_than_padding_would_be(seed: int) -> None:
    draw = random.Random(seed)
    lengths = [draw.randint(2, 512) for _ in range(draw.randint(1, 16))]
    found = layout_of(lengths, length=512)
    assert sorted(row for rows in found for row in rows) == list(range(len(lengths)))
    assert places_of(found, lengths) <= len(lengths) * max(lengths)
    assert all(sum(lengths[row] for row in rows) <= 2 * 512 for rows in found)
