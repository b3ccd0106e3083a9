"""What a server says: all of it in a file, its steps and its errors in our own log.

Does not know: processes.
"""

import logging
import re
from pathlib import Path
from threading import Lock

SHOWN = 200
"""Characters of a line that are passed on."""
ROTATED_BYTES = 20_000_000
"""Past it, the file becomes the one before (`vllm.log.1`), which is lost."""

_PREFIX = re.compile(r"^\(\w+ pid=\d+\) ")
_LEVEL = re.compile(r"\b(INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\] ")
_FAULT = re.compile(r"(?:^|\s)(?:[\w.]+(?:Error|Exception)|vllm\w*: error): \S|^error: \S")
_ECHO = re.compile(r"See root cause above|See stack trace|See error message", re.IGNORECASE)
_STEPS = (
    (re.compile(r"Starting to load model"), "loading the weights"),
    (re.compile(r"checkpoint shards:\s+(\d+)% Completed"), "loading the weights, {0} %"),
    (re.compile(r"Dynamo bytecode|Compiling a graph"), "compiling"),
    (re.compile(r"KV cache size"), "making room for keys and values"),
    (re.compile(r"Capturing CUDA graph"), "capturing CUDA graphs"),
    (re.compile(r"Starting vLLM (?:API )?server"), "opening its address"),
)

log = logging.getLogger(__name__)


class ServerLog:
    """Lines of one server after another, in one file. Safe to use from threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._last = ""
        self._fault = ""
        self._lost = False
        """Whether the last line could not be written."""
        self.step = ""
        """What the start is at."""

    @property
    def path(self) -> Path:
        return self._path

    def begins(self, title: str) -> None:
        """A server is started; what earlier ones said is no longer their last word."""
        with self._lock:
            self._last = self._fault = ""
            self.step = "importing its libraries"
            self._write(f"--- {title}")
        log.info("vllm: %s", title)

    def says(self, line: str) -> None:
        """Keep it; steps and errors go to our log as well, shortened."""
        shown = shortened(line)
        with self._lock:
            self._write(line)
            if not shown:
                return
            self._last = shown
            if _FAULT.search(shown) and not _ECHO.search(shown):
                self._fault = shown
            step = _step(shown)
            fresh = step and step != self.step
            self.step = step or self.step
        if fresh:
            log.info("vllm: %s", step)
        elif " ERROR " in f" {line} " and _FAULT.search(shown):
            log.error("vllm: %s", shown)

    @property
    def last_words(self) -> str:
        """The last error that it named, else its last line."""
        with self._lock:
            return self._fault or self._last or "it said nothing"

    def _write(self, line: str) -> None:
        """A disk that is full costs lines, and never the server: it hangs where nobody reads what
        it says."""
        try:
            self._append(line)
            self._lost = False
        except OSError as error:
            if not self._lost:
                log.warning("vllm: its log cannot be written, and lines are lost: %s", error)
            self._lost = True

    def _append(self, line: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists() and self._path.stat().st_size > ROTATED_BYTES:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def shortened(line: str) -> str:
    """Without who says it and when, on one line."""
    told = _LEVEL.sub("", _PREFIX.sub("", line.strip()))
    return " ".join(told.split())[:SHOWN]


def _step(line: str) -> str:
    for pattern, step in _STEPS:
        if found := pattern.search(line):
            return step.format(*found.groups())
    return ""
