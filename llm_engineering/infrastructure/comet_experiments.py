"""Metrics in Comet, sent by a process of its own so that no run ever waits for a server.

    <home>/experiments/<name>-<id>.jsonl    what was logged, until Comet has it or it is packed
    <home>/experiments/<name>-<id>.json     Sent: where it went
    <home>/experiments/<name>-<id>.zip      packed, for `comet upload`

A line of the file is all that logging costs. comet_sender.py reads along and sends; it goes on
when this process has ended, and ends after it. Nothing of comet_ml is imported here: it would
patch other libraries and block for half a minute where there is no network.
Does not know: what is trained.
"""

import json
import logging
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import TextIO

from llm_engineering.domain.errors import MissingExtra
from llm_engineering.infrastructure.comet_sender import Order, Sent
from llm_engineering.ports.jobs import LogMetrics

WAIT_S = 10.0
"""How long the end of a run waits for word from the sender, which needs a second or two."""

_LOG = logging.getLogger(__name__)


class CometExperiments:
    """Experiments of one project. Without `api_key`, or `offline`, they are packed as files.

    Raises MissingExtra.
    """

    def __init__(
        self,
        folder: Path,
        *,
        api_key: str | None,
        workspace: str | None,
        project: str,
        offline: bool,
        wait_s: float = WAIT_S,
    ) -> None:
        if find_spec("comet_ml") is None:
            raise MissingExtra("comet_ml", extra="comet")
        self._folder = folder.absolute()
        self._api_key = None if offline else api_key
        self._workspace = workspace
        self._project = project
        self._wait_s = wait_s

    @contextmanager
    def run(self, name: str, *, parameters: Mapping[str, object]) -> Iterator[LogMetrics]:
        slug = "-".join(re.findall(r"[\w.]+", name)) or "run"
        lines = self._folder / f"{slug[:60]}-{secrets.token_hex(4)}.jsonl"
        order = Order(
            name=name,
            lines=str(lines),
            workspace=self._workspace,
            project=self._project,
            online=self._api_key is not None,
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = lines.open("a", encoding="utf-8", buffering=1)
            sender = self._start(order)
        except OSError as error:
            _LOG.warning(
                "the metrics of %s are not kept: %s: %s", name, self._folder, error.strerror
            )
            yield _ignore
            return
        notes = _Notes(file, name)
        notes.write({"parameters": parameters})
        try:
            yield notes.log
        finally:
            notes.close()
            self._finish(order, sender)

    def _start(self, order: Order) -> "subprocess.Popen[bytes]":
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith("TWIN_")
        }
        environ["LOGNAME"] = self._project  # comet_ml puts the user's name into what it sends
        if self._api_key is not None:
            environ["COMET_API_KEY"] = (
                self._api_key
            )  # the arguments of a process can be seen by all
        return subprocess.Popen(
            [sys.executable, "-m", "llm_engineering.infrastructure.comet_sender", order.to_json()],
            env=environ,
            stdin=subprocess.PIPE,  # its end tells the sender that no more will come
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # comet_ml quotes a key that is refused
            start_new_session=True,
        )

    def _finish(self, order: Order, sender: "subprocess.Popen[bytes]") -> None:
        assert sender.stdin is not None
        sender.stdin.close()
        try:
            sender.wait(self._wait_s)
        except subprocess.TimeoutExpired:
            Thread(target=sender.wait, daemon=True).start()  # or it would stay as a zombie
            _LOG.warning("Comet has not taken all metrics of %s yet; sending goes on", order.name)
            return
        sent = Sent.read(Path(order.lines))
        if sent is None:
            _LOG.warning(
                "the metrics of %s did not reach Comet; they are in %s", order.name, order.lines
            )
        elif sent.online:
            _LOG.info("the metrics of %s are at %s", order.name, sent.where)
        else:
            why = f" ({sent.why})" if sent.why else ""
            level = logging.WARNING if order.online else logging.INFO
            _LOG.log(
                level,
                "the metrics of %s are kept%s; 'comet upload %s' sends them",
                *(order.name, why, sent.where),
            )


class _Notes:
    """The file of one run's lines; a disk that is full loses metrics, not the run."""

    def __init__(self, file: TextIO, name: str) -> None:
        self._file = file
        self._name = name
        self._told = False

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self.write({"metrics": metrics, "step": step})

    def write(self, note: Mapping[str, object]) -> None:
        try:
            self._file.write(json.dumps(note, default=_plain) + "\n")
        except (OSError, ValueError) as error:
            if not self._told:
                _LOG.warning("metrics of %s are lost: %s", self._name, error)
            self._told = True

    def close(self) -> None:
        with suppress(OSError):  # what could not be written was told
            self._file.close()


def _plain(value: object) -> object:
    """What JSON does not know: mappings as objects, the rest as text."""
    return dict(value) if isinstance(value, Mapping) else str(value)


def _ignore(metrics: Mapping[str, float], step: int) -> None:
    pass
