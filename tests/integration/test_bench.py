"""The benchmark measures what it says: a first run, an unchanged one, one with edits."""

from pathlib import Path

from llm_engineering.bootstrap import open_app
from llm_engineering.settings import HashEmbedderSettings, Settings
from tools import bench, bench_queries, bench_scale


def test_runs_are_counted_and_queries_timed(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(120):
        text = f"# Note {number}\n\nOnly note {number * 7919} tells of thing{number} and {number}."
        (notes / f"{number:03}.md").write_text(text, encoding="utf-8")
    embedder = HashEmbedderSettings(kind="hash", dimension=32)
    settings = Settings(home=tmp_path / "home", progress="off", embedder=embedder)
    with open_app(settings) as app:
        first = bench.ingest(app, notes)
        unchanged = bench.again(app, notes)
        edited = bench.again(app, notes, change=bench.edit_one_percent(notes))
        bench_queries.fill(app, size=400, queries=5)
        asked = bench_queries.ask(app)
    with open_app(settings.model_copy(update={"home": tmp_path / "noise"})) as app:
        bench_queries.fill_with_noise(app, size=100, queries=3)
        noise = bench_queries.ask(app)
    assert (first["documents"], first["chunks"]) == (120, 120)
    assert (unchanged["changed"], unchanged["embedded"]) == (0, 0)
    assert (edited["edited"], edited["changed"], edited["embedded"]) == (2, 2, 2)
    assert first["sentences"] == 120
    assert 380 <= asked["sentences"] <= 420
    assert noise["sentences"] == 100
    assert 0 < asked["plain"]["p50_ms"] <= asked["plain"]["p99_ms"]
    assert asked["rss_mb"] > 10


def test_sizes_are_compared_with_the_smallest() -> None:
    sizes = [
        {
            "sentences": size,
            "plain": {"p50_ms": p50, "p99_ms": 9.0, "engine_p50_ms": 1.0},
            "fill_s": 1.0,
            "rss_mb": 1_000.0,
        }
        for size, p50 in ((10_000, 10.0), (100_000, 15.0))
    ]
    *_, last = bench_scale.table(sizes)
    assert last == "| 100,000 | 10.0 | 15.0 ms | 9.0 ms | 1.5 | 1.0 ms | 1 s | 1,000 MB |"
