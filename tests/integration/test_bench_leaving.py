"""The places that leaving clients free are timed at a server that has no other place."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_engineering.bootstrap import open_app
from llm_engineering.settings import HashEmbedderSettings, Settings
from tests.unit.serving import NOTES, publish
from tools import bench_leaving, bench_serve


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a twin with an index, and the environment that its server is to have."""
    monkeypatch.setenv("TWIN_EMBEDDER__KIND", "hash")
    embedder = HashEmbedderSettings(kind="hash")
    with open_app(Settings(home=tmp_path, progress="off", embedder=embedder)) as app:
        publish(app, *NOTES)
    return tmp_path


def left(address: str, *, others: int) -> NDArray[np.float64]:
    asked = bench_leaving.leaving(
        address,
        bench_serve.LONG,
        others=others,
        tries=3,
        headers=bench_serve.WITHOUT_RETRIEVAL,
    )
    return asyncio.run(asked)


def test_each_leaving_is_timed_while_others_go_on(home: Path) -> None:
    with bench_serve.scripted_api(home, places=3) as api:
        seconds = left(api, others=2)

        assert seconds.shape == (3,)
        assert ((seconds > 0) & (seconds < bench_leaving.WITHIN_S)).all()
        with pytest.raises(RuntimeError, match="more answers at once"):
            left(api, others=1)


def test_a_place_that_is_never_free_is_waited_for_so_long(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_leaving, "WITHIN_S", 0.2)
    with bench_serve.scripted_api(home, places=1) as api, pytest.raises(TimeoutError):
        left(api, others=1)
