"""`make bench-serve`: what the API adds to asking its engine directly, and how it holds under load.

The baseline, in the same run, is the same engine asked without the API: a scripted one that says
100 tokens a second. Engine, API and load are processes of their own. Prints a table and writes
`bench-results/serve.json`.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from llm_engineering.bootstrap import open_app
from llm_engineering.settings import Settings
from tools.bench import machine
from tools.bench_leaving import leaving
from tools.bench_queries import ASKED, Asked, fill
from tools.bench_streams import Heard, rounds
from tools.corpus_index import index_folder
from tools.serve import TWIN

RESULTS = Path("bench-results")
Figures = dict[str, Any]
TOKENS_PER_S, TOKENS = 100, 100
AT_ONCE = (1, 8, 32)
OTHERS, LEAVING = (0, 32), 50
"""Answers that go on while so many clients leave, one after the other."""
SPREAD_S = TOKENS / TOKENS_PER_S
"""One answer's time: so long are the first questions spread over."""
SENTENCES = 63_000
"""About 20,000 chunks."""
WITHOUT_RETRIEVAL = {"x-twin-retrieval": "off"}
LONG: Figures = {
    "model": "twin",
    "max_tokens": 10 * TOKENS,
    "messages": [{"role": "user", "content": "Say it."}],
}
UP_S = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path("docs"), help="folder of writing")
    parser.add_argument("--sentences", type=int, default=SENTENCES, help="size of the index")
    parser.add_argument("--streams", type=int, default=500, help="open at once")
    parser.add_argument("--rounds", type=int, default=3, help="of each, in turns")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as home:
        questions = filled(given.corpus, Path(home), sentences=given.sentences)
        figures: Figures = {"machine": machine(), "corpus": given.corpus.name}
        with servers(Path(home)) as (engine, api):
            figures["overhead"] = [
                overhead(engine, api, at_once=at_once, times=given.rounds) for at_once in AT_ONCE
            ]
            figures["burst"] = overhead(
                engine, api, at_once=AT_ONCE[-1], times=given.rounds, over_s=0
            )
            figures["retrieval"] = with_retrieval(engine, api, questions)
        with scripted_api(Path(home)) as api:
            figures["streams"] = open_streams(api, count=given.streams)
        figures["leaving"] = [left_places(Path(home), others=others) for others in OTHERS]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "serve.json").write_text(json.dumps(figures, indent=2) + "\n")
    for line in table(figures):
        print(line)


def filled(corpus: Path, home: Path, *, sentences: int) -> tuple[str, ...]:
    """An index in `home`; returns questions about it."""
    with open_app(Settings(home=home, progress="off")) as app:
        index_folder(app, corpus)
        fill(app, size=sentences, queries=100)
    return Asked.model_validate_json((home / ASKED).read_text()).questions


def overhead(
    engine: str, api: str, *, at_once: int, times: int, over_s: float = SPREAD_S
) -> Figures:
    """The same answers from the engine and through the API, in turns."""
    body = {
        "model": "scripted",
        "max_tokens": TOKENS,
        "messages": [{"role": "user", "content": "Say it."}],
    }
    bodies = [body] * max(at_once * 4, 8)
    sides: dict[str, list[tuple[list[Heard], float]]] = {"engine": [], "api": []}
    for _ in range(times):
        for name, address, headers in (
            ("engine", engine, None),
            ("api", api, WITHOUT_RETRIEVAL),
        ):
            asked = rounds(address, bodies, at_once=at_once, over_s=over_s, headers=headers)
            sides[name].append(asyncio.run(asked))
    figures = {name: summary(side) for name, side in sides.items()}
    direct, through = figures["engine"], figures["api"]
    return {
        "at_once": at_once,
        **figures,
        "first_added_ms": through["first_p50_ms"] - direct["first_p50_ms"],
        "whole_added_ms": through["whole_p50_ms"] - direct["whole_p50_ms"],
        "throughput_ratio": through["tokens_per_s"] / direct["tokens_per_s"],
    }


def summary(side: list[tuple[list[Heard], float]]) -> Figures:
    heard = [one for answers, _ in side for one in answers]
    first = np.array([one.first_s for one in heard]) * 1e3
    whole = np.array([one.whole_s for one in heard]) * 1e3
    speeds = [sum(one.tokens for one in answers) / seconds for answers, seconds in side]
    return {
        "first_p50_ms": float(np.median(first)),
        "first_p99_ms": float(np.percentile(first, 99)),
        "whole_p50_ms": float(np.median(whole)),
        "tokens_per_s": float(np.median(speeds)),
    }


def with_retrieval(engine: str, api: str, questions: tuple[str, ...]) -> Figures:
    """Time to the first token of a question that is searched for, beside the engine's own."""
    bodies = [
        {"model": "twin", "max_tokens": 8, "messages": [{"role": "user", "content": question}]}
        for question in questions
    ]
    # A question is remembered once it was encoded, so each is asked once; others warm it up.
    asyncio.run(rounds(api, bodies[:20], at_once=1))
    asked = asyncio.run(rounds(api, bodies[20:], at_once=1))
    direct = asyncio.run(rounds(engine, [{**b, "model": "scripted"} for b in bodies], at_once=1))
    sides = {"engine": summary([direct]), "api": summary([asked])}
    added = sides["api"]["first_p50_ms"] - sides["engine"]["first_p50_ms"]
    return {**sides, "first_added_ms": added}


def open_streams(api: str, *, count: int) -> Figures:
    """Gaps between the pieces of so many answers that are under way together."""
    answers, seconds = asyncio.run(
        rounds(api, [LONG] * count, at_once=count, headers=WITHOUT_RETRIEVAL)
    )
    gaps = np.concatenate([one.gaps_s for one in answers]) * 1e3
    return {
        "streams": count,
        "tokens_per_s": sum(one.tokens for one in answers) / seconds,
        "gap_p50_ms": float(np.median(gaps)),
        "gap_p99_ms": float(np.percentile(gaps, 99)),
        "first_p50_ms": float(np.median([one.first_s for one in answers]) * 1e3),
    }


def left_places(home: Path, *, others: int) -> Figures:
    """From a client's leaving in the middle of its answer until another has its place."""
    with scripted_api(home, places=others + 1) as api:
        asked = leaving(api, LONG, others=others, tries=LEAVING, headers=WITHOUT_RETRIEVAL)
        ms = asyncio.run(asked) * 1e3
    p50, p99, most = np.percentile(ms, [50, 99, 100])
    return {"others": others, "p50_ms": float(p50), "p99_ms": float(p99), "most_ms": float(most)}


@contextmanager
def servers(home: Path) -> Iterator[tuple[str, str]]:
    """Addresses of an engine, and of the API over it."""
    with ExitStack() as stack:
        port = free_port()
        engine = f"127.0.0.1:{port}"
        command = [sys.executable, "-m", "tools.paced_engine", str(port), str(TOKENS_PER_S)]
        stack.enter_context(running(command, {}, url=f"http://{engine}/"))
        settings = {
            "TWIN_CHAT__KIND": "openai",
            "TWIN_CHAT__BASE_URL": f"http://{engine}/v1",
            "TWIN_CHAT__MODEL": "scripted",
        }
        yield engine, stack.enter_context(api_with(home, settings))


@contextmanager
def scripted_api(home: Path, *, places: int = 1_000) -> Iterator[str]:
    """The address of an API whose engine is in its own process, ten tokens a second an answer, and
    which gives so many at once."""
    settings = {
        "TWIN_CHAT__KIND": "scripted",
        "TWIN_CHAT__TOKENS_PER_S": "10",
        "TWIN_API__ANSWERS": str(places),
    }
    with api_with(home, settings) as address:
        yield address


@contextmanager
def api_with(home: Path, settings: dict[str, str]) -> Iterator[str]:
    port = free_port()
    environment = {"TWIN_HOME": str(home), "TWIN_API__PORT": str(port), **settings}
    address = f"127.0.0.1:{port}"
    with running([*TWIN, "serve"], environment, url=f"http://{address}/ready"):
        yield address


@contextmanager
def running(command: list[str], environment: dict[str, str], *, url: str) -> Iterator[None]:
    """A server in a process of its own, until the end."""
    child = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + UP_S
        while not answers(url):
            if child.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"bench: {' '.join(command[-3:])} did not start")
            time.sleep(0.1)
        yield
    finally:
        child.terminate()
        child.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310  of our own making
    except urllib.error.HTTPError as error:
        return error.code == 404
    except OSError:
        return False
    return True


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def table(figures: Figures) -> Iterator[str]:
    yield "| at once | first token, engine | through the API | added | whole, added | throughput |"
    yield "|---|---|---|---|---|---|"
    for row in figures["overhead"]:
        cells = (
            f"{row['at_once']}",
            f"{row['engine']['first_p50_ms']:.1f} ms",
            f"{row['api']['first_p50_ms']:.1f} ms",
            f"{row['first_added_ms']:.1f} ms",
            f"{row['whole_added_ms']:.1f} ms",
            f"{row['throughput_ratio']:.3f}",
        )
        yield f"| {' | '.join(cells)} |"
    found, streams, burst = figures["retrieval"], figures["streams"], figures["burst"]
    yield ""
    yield "| what | figure |"
    yield "|---|---|"
    added, count = found["first_added_ms"], streams["streams"]
    many, later = burst["at_once"], burst["first_added_ms"]
    yield f"| {many} questions in the same instant: first token, added | {later:.1f} ms |"
    yield f"| first token with retrieval, over the engine's own, p50 | {added:.1f} ms |"
    yield f"| {count} open streams: gap between pieces, p50 | {streams['gap_p50_ms']:.1f} ms |"
    yield f"| – p99 | {streams['gap_p99_ms']:.1f} ms |"
    yield f"| – tokens/s together | {streams['tokens_per_s']:,.0f} |"
    for row in figures["leaving"]:
        took = " / ".join(f"{row[name]:.1f}" for name in ("p50_ms", "p99_ms", "most_ms"))
        what = f"a client leaves beside {row['others']} others: its place is free, p50 / p99 / most"
        yield f"| {what} | {took} ms |"


if __name__ == "__main__":
    main()
