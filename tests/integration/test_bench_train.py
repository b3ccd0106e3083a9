"""The training benchmark measures both sides on the same rows."""

import re

import pytest

from tools import bench_train

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_both_are_timed_and_compared(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "0")
    assert bench_train.main(["--rows", "16", "--rounds", "1", "--batch-size", "1"]) == 0
    said = capsys.readouterr().out
    assert "16 rows, batches of 1 x 512 tokens" in said
    recipe, bare = re.findall(r"median: recipe ([\d,]+), TRL ([\d,]+)", said)[0]
    (ratio,) = re.findall(r"ratio (\d+\.\d+), padding \d+\.\d+%, MFU \d+\.\d+%", said)
    rates = [int(rate.replace(",", "")) for rate in (recipe, bare)]
    assert float(ratio) == pytest.approx(rates[0] / rates[1], rel=0.01)
