"""`make bench-scale`: what a question costs as the index grows.

All sizes are filled alike, with random vectors and terms, which have no clusters: the worst case
for a graph. Each is filled and asked by processes of its own, so the memory is that of one size.
Prints a table. A million sentences take some 12 GB of disk and memory while they are written.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

Figures = dict[str, Any]
SIZES = (10_000, 100_000, 1_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="in sentences")
    parser.add_argument("--queries", type=int, default=200)
    given = parser.parse_args()
    for line in table([measured(size, queries=given.queries) for size in given.sizes]):
        print(line)


def measured(size: int, *, queries: int) -> Figures:
    """What an index of `size` random sentences takes to be written and asked."""
    module = [sys.executable, "-m", "tools.bench_queries"]
    with tempfile.TemporaryDirectory(prefix="twin-scale-") as home:
        started = time.perf_counter()
        subprocess.run([*module, "random", home, str(size), str(queries)], check=True)
        filled = time.perf_counter() - started
        done = subprocess.run([*module, "ask", home], stdout=subprocess.PIPE, check=True)
    figures: Figures = {**json.loads(done.stdout), "fill_s": filled}
    return figures


def table(rows: Sequence[Figures]) -> Iterator[str]:
    """Each size beside the smallest: a ratio of time below that of size is less than linear."""
    yield "| sentences | times as many | p50 | p99 | times as long | engine p50 | fill | memory |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        plain, least = row["plain"], rows[0]["plain"]
        cells = (
            f"{row['sentences']:,}",
            f"{row['sentences'] / rows[0]['sentences']:.1f}",
            f"{plain['p50_ms']:.1f} ms",
            f"{plain['p99_ms']:.1f} ms",
            f"{plain['p50_ms'] / least['p50_ms']:.1f}",
            f"{plain['engine_p50_ms']:.1f} ms",
            f"{row['fill_s']:.0f} s",
            f"{row['rss_mb']:,.0f} MB",
        )
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
