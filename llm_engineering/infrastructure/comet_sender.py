"""Reads what a run logs and sends it to Comet, or packs it for later.

    COMET_API_KEY=… python -m llm_engineering.infrastructure.comet_sender ORDER

ORDER is an Order in JSON. Standard input is only watched for its end: then no more lines will come,
also when the run was killed. Comet is asked first whether it is there, and what it does not take
is packed instead; the lines are deleted when all of them are in one place or the other.
Does not know: who logs, and that there is anything but its files.
"""

import contextlib
import json
import os
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PROBE_S = 5.0
POLL_S = 0.2
CLOUD = "https://www.comet.com"


class RefusedExperiment(Exception):
    """Comet answered, and did not take it: an unknown key or workspace, most likely."""


@dataclass(frozen=True)
class Order:
    """What is to be sent, and under which name."""

    name: str
    lines: str
    workspace: str | None
    project: str
    online: bool

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Sent:
    """Where the metrics of a run are now."""

    online: bool
    where: str
    """Address of the experiment, or the packed file."""
    why: str = ""
    """Why it was packed although it should have been sent."""

    @staticmethod
    def read(lines: Path) -> "Sent | None":
        """What became of `lines`; None while nothing is known."""
        try:
            return Sent(**json.loads(lines.with_suffix(".json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, lines: Path) -> None:
        part = lines.with_suffix(".part")
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        part.replace(lines.with_suffix(".json"))


def main(arguments: Sequence[str]) -> int:
    order = Order(**json.loads(arguments[0]))
    lines = Path(order.lines)
    why = unreachable() if order.online else ""
    if order.online and not why:
        try:
            address = send(order, lines)
        except Exception as error:  # of whatever kind: what Comet does not take is packed
            why = f"Comet did not take them ({type(error).__name__})"
        else:
            why = unreachable()  # comet_ml does not tell whether the last of them arrived
            if not why:
                Sent(online=True, where=address).write(lines)
                lines.unlink()
                return 0
    Sent(online=False, where=str(pack(order, lines)), why=why).write(lines)
    lines.unlink()
    return 0


def unreachable() -> str:
    """Why Comet cannot be talked to; '' when it answers. comet_ml itself takes half a minute."""
    address = os.environ.get("COMET_URL_OVERRIDE", CLOUD).removesuffix("/clientlib/")
    request = urllib.request.Request(f"{address.rstrip('/')}/clientlib/isAlive/ver")  # noqa: S310
    outcome = ["no answer in time"]  # name resolution ignores timeouts: bounded from outside

    def probe() -> None:
        try:
            urllib.request.urlopen(request, timeout=PROBE_S).close()  # noqa: S310 (ours, or the user's)
        except urllib.error.HTTPError:
            outcome[0] = ""  # somebody is there; whether it takes the key is seen next
        except (OSError, ValueError) as error:
            outcome[0] = f"no answer: {getattr(error, 'reason', error)}"
        else:
            outcome[0] = ""

    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(PROBE_S)
    return outcome[0]


def send(order: Order, lines: Path) -> str:
    """The address of the experiment that everything was given to.

    Raises RefusedExperiment, or what comet_ml raises, when Comet does not take the experiment.
    """
    experiment = started(order, online=True, scratch=None)
    if not experiment.alive:
        raise RefusedExperiment
    deliver(experiment, lines)
    return str(experiment.url)


def started(order: Order, *, online: bool, scratch: Path | None) -> Any:
    """An experiment; comet_ml gives out a dead one where Comet does not take it."""
    os.environ["COMET_LOGGING_CONSOLE"] = "ERROR"
    import comet_ml

    return comet_ml.start(
        online=online,
        workspace=order.workspace,
        project_name=order.project,
        experiment_config=comet_ml.ExperimentConfig(
            name=order.name,
            offline_directory=str(scratch) if scratch else None,
            # Nothing but what the run logs: no code, host names, addresses or environment.
            log_code=False,
            log_graph=False,
            log_git_metadata=False,
            log_git_patch=False,
            log_env_details=False,
            parse_args=False,
            auto_output_logging=False,  # type: ignore[arg-type]  # as it documents
            auto_param_logging=False,
            auto_metric_logging=False,
            display_summary_level=0,
        ),
    )


def pack(order: Order, lines: Path) -> Path:
    """The packed file, which appears whole."""
    scratch = lines.with_suffix(".packing")
    scratch.mkdir(exist_ok=True)
    experiment = started(order, online=False, scratch=scratch)
    deliver(experiment, lines)
    (packed,) = scratch.glob("*.zip")
    packed.replace(lines.with_suffix(".zip"))
    shutil.rmtree(scratch)
    return lines.with_suffix(".zip")


def deliver(experiment: Any, lines: Path) -> None:
    """Everything that was and will be logged, to the end of standard input."""
    for note in notes(lines):
        if "parameters" in note:
            experiment.log_parameters(note["parameters"])
        else:
            experiment.log_metrics(note["metrics"], step=note["step"])
    experiment.end()


def notes(lines: Path) -> Iterator[dict[str, Any]]:
    """Each whole line as it comes; a last one that was cut short is left out."""
    over = threading.Event()

    def watch() -> None:
        with contextlib.suppress(OSError):
            sys.stdin.buffer.read()
        over.set()

    threading.Thread(target=watch, daemon=True).start()
    with lines.open(encoding="utf-8") as file:
        kept = ""
        while True:
            last = over.is_set()
            for line in file:
                kept += line
                if kept.endswith("\n"):
                    yield json.loads(kept)
                    kept = ""
            if last:
                return
            time.sleep(POLL_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
