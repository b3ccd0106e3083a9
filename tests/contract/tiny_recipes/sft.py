"""Counts to `optimizer.max_steps`, a checkpoint at each step; its base says how it goes wrong.

    counts              completes
    waits               before its last step it waits for a file `go` among its checkpoints
    fails-at-3          leaves an error.txt and exit code 1, unless it resumed
    crashes-at-3        a traceback and exit code 1, unless it resumed
    is-killed-at-3      SIGKILL, unless it resumed
    is-deaf             ignores SIGTERM, and waits
    leaves-nothing      exit code 0 without a result
    chatters            prints 300 lines, in all sorts of characters
    has-workers         starts a process of its own, and waits
    tells-environment   prints the names of its environment variables

Only the standard library: it starts in a tenth of a second.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

POLL_S = 0.02


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("job", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, required=True)
    given = parser.parse_args()
    job = json.loads(given.job.read_text())
    rows = (given.job.parent / job["data"] / "train.jsonl").read_text().count("\n")
    given.output.mkdir(exist_ok=True)
    given.checkpoints.mkdir(exist_ok=True)
    return count(job, rows, output=given.output, checkpoints=given.checkpoints)


def count(job: dict, rows: int, *, output: Path, checkpoints: Path) -> int:  # type: ignore[type-arg]
    base, steps = job["base"], job["optimizer"]["max_steps"]
    written = sorted(checkpoints.glob("step-*"))
    resumed = int(written[-1].name.removeprefix("step-")) if written else None
    said(f"{rows} rows, from step {resumed or 0}")
    prepare(base)
    for step in range((resumed or 0) + 1, steps + 1):
        if step == 3 and resumed is None:
            go_wrong(base, output)
        if step == steps and base in ("waits", "is-deaf", "has-workers"):
            while not (checkpoints / "go").exists():
                time.sleep(POLL_S)
        event = {"event": "step", "stage": "train", "step": step, "steps": steps}
        line = json.dumps(event | {"metrics": {"loss": 1 / step}})
        said(line, to=sys.stdout)
        with (output / "metrics.jsonl").open("a") as metrics:
            said(line, to=metrics)
        (checkpoints / f"step-{step:03}").write_text("")
    if base == "leaves-nothing":
        return 0
    (output / "adapter").mkdir(exist_ok=True)
    (output / "adapter" / "adapter_config.json").write_text("{}")
    device = {"name": "cpu", "precision": "float32", "reason": "it only counts"}
    result = {"recipe": "sft", "base": base, "nano": False, "device": device}
    (output / "result.json").write_text(json.dumps(result | {"resumed_from": resumed}))
    return 0


def prepare(base: str) -> None:
    match base:
        case "is-deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "chatters":
            for number in range(300):
                said(f"line {number}: naïve “quotes” \u2028 and \t a tab")
        case "tells-environment":
            said(f"environment {sorted(os.environ)}")
        case "has-workers":
            said(f"worker {subprocess.Popen(['sleep', '60']).pid}")


def go_wrong(base: str, output: Path) -> None:
    match base:
        case "fails-at-3":
            (output / "error.txt").write_text("the loss is not a number; lower the learning rate\n")
            raise SystemExit(1)
        case "crashes-at-3":
            raise ZeroDivisionError("nobody foresaw this")
        case "is-killed-at-3":
            sys.stdout.write("half a li")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)


def said(line: str, *, to: TextIO | None = None) -> None:
    print(line, file=to or sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
