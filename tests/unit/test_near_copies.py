"""One small edit makes a near copy wrong: none of these may be called said or supported."""

import csv
from pathlib import Path

import pytest

from tests.unit.grounded import grounder, passage

with Path(__file__).with_name("near_copies.csv").open(encoding="utf-8", newline="") as file:
    PAIRS = [(row["note"], row["claim"]) for row in csv.DictReader(file, strict=True)]


def test_there_are_many() -> None:
    assert len(PAIRS) > 200


@pytest.mark.parametrize(("note", "claim"), PAIRS)
def test_a_near_copy_that_says_something_else_is_unsupported(note: str, claim: str) -> None:
    evidence = passage(f"{note} Nothing else happened that day.")
    checked = grounder(min_nearness=0).check(claim, [evidence]).sentences
    assert [each.verdict.value for each in checked] == ["unsupported"]
