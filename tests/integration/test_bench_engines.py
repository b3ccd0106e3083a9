"""The engines' benchmark measures both ways on the same prompts."""

import pytest

from tools.bench_engines import batching

pytestmark = pytest.mark.filterwarnings("ignore")


def test_both_ways_are_timed_and_compared() -> None:
    found = batching("5M", answers=2, tokens=4, rounds=1)
    assert found.engine > 0
    assert found.sequential > 0
    assert found.ratio == pytest.approx(found.engine / found.sequential)
    assert f"ratio {found.ratio:.2f}" in str(found)
    assert str(found).startswith("5M, cpu ")
