"""ZenML kept to itself: its settings, database and artifacts live in TWIN_HOME/zenml.

Nothing here imports ZenML before it is told to: ZenML reads its environment when imported.
"""

import fcntl
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llm_engineering.domain.errors import BackendUnavailable, MissingExtra

_UNUSED = ("pytorch", "sklearn", "scipy")
"""Integrations that only add materializers for objects we never pass between steps.

ZenML activates every installed one before the first pipeline; these three import torch,
scikit-learn and scipy, which takes 4 to 5 s of the 10 s that a first run needs.
"""


def zenml_home(home: Path) -> Path:
    """Where everything of ZenML is; absolute, as ZenML wants it."""
    return (home / "zenml").resolve()


def client_environment(home: Path) -> dict[str, str]:
    """What ZenML must find in its environment to keep to `home`, offline and quiet."""
    return {
        "ZENML_CONFIG_PATH": str(zenml_home(home)),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "ZENML_AUTO_OPEN_DASHBOARD": "false",
        "ZENML_ENABLE_RICH_TRACEBACK": "false",
        "ZENML_CUSTOM_SOURCE_ROOT": str(Path(__file__).resolve().parents[1]),
    }


def server_environment(home: Path, *, url: str) -> dict[str, str]:
    """What makes ZenML's server use the database and artifacts of `home`.

    The same variables that `zenml login --local` gives its own server. Without that command no
    client is switched over to HTTP: runs go on writing to the database, with or without a server.
    """
    folder = zenml_home(home)
    return client_environment(home) | {
        "ZENML_SERVER": "true",
        "ZENML_CONFIG_PATH": str(folder / "server"),
        "ZENML_LOCAL_STORES_PATH": str(folder / "local_stores"),
        "ZENML_SERVER_ALLOW_LOCAL_FILE_ACCESS": "true",
        "ZENML_SERVER_AUTH_SCHEME": "NO_AUTH",
        "ZENML_SERVER_AUTO_ACTIVATE": "true",
        "ZENML_SERVER_DEPLOYMENT_TYPE": "local",
        # It asks nobody who they are, so no other web page may speak to it.
        "ZENML_SERVER_CORS_ALLOW_ORIGINS": url,
        "ZENML_SERVER_SECURE_HEADERS_CSP": _own_content_only(url),
        "ZENML_SERVER_DISPLAY_ANNOUNCEMENTS": "false",
        "ZENML_SERVER_DISPLAY_UPDATES": "false",
    }


def _own_content_only(url: str) -> str:
    """A content security policy without the foreign scripts and frames that ZenML's own allows.

    ZenML strips quotation marks from both ends of every value, so each starts and ends with `url`.
    """
    rules = {
        "default-src": url,
        "script-src": f"{url} 'unsafe-inline' 'unsafe-eval' {url}",
        "style-src": f"{url} 'unsafe-inline' {url}",
        "img-src": f"{url} data: blob:",
        "frame-src": f"{url} data: blob:",
        "font-src": f"{url} data:",
    }
    same = ("connect-src", "base-uri", "form-action")
    return "; ".join(
        f"{name} {value}" for name, value in (rules | dict.fromkeys(same, url)).items()
    )


def open_zenml(home: Path) -> None:
    """Import ZenML with `home` as its home and its database ready.

    Its messages go to the logs in its dashboard; to our own handlers only where they take INFO.
    Raises MissingExtra when ZenML is not installed.
    """
    os.environ.update(client_environment(home))
    with first_use(home):
        _opt_out_of_analytics(home)
    with _own_logging():
        try:
            import zenml  # noqa: F401 (takes the logging over)
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or "zenml", extra="zenml") from error
    from zenml.client import Client
    from zenml.integrations.registry import integration_registry

    for name in _UNUSED:
        integration_registry.integrations.pop(name, None)
    with first_use(home):
        Client().active_stack  # noqa: B018 (creates or migrates the database)


@contextmanager
def first_use(home: Path) -> Iterator[None]:
    """Hold off other processes: ZenML cannot create or migrate one database twice at a time.

    Raises BackendUnavailable when `home` cannot be written.
    """
    folder = zenml_home(home)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".opening").open("w")
    except OSError as error:
        raise BackendUnavailable(
            f"cannot write in {folder}: {error.strerror}; set TWIN_HOME to a folder of yours"
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _opt_out_of_analytics(home: Path) -> None:
    """In ZenML's own file too: the environment covers only the processes that we start."""
    config = zenml_home(home) / "config.yaml"
    if not config.exists():
        config.write_text("analytics_opt_in: false\n", encoding="utf-8")


@contextmanager
def _own_logging() -> Iterator[None]:
    """Keep what our handlers show as it was, though ZenML sets the root logger to INFO."""
    root = logging.getLogger()
    level, ours = root.level, root.handlers.copy()
    for handler in ours:
        handler.setLevel(max(handler.level, level))
        if level > logging.INFO:
            handler.addFilter(_is_ours)
    yield
    from zenml.logger import ZenMLConsoleHandler

    for handler in root.handlers.copy():
        if isinstance(handler, ZenMLConsoleHandler):  # writes to stdout
            root.removeHandler(handler)
    # ZenML replaces `write` to copy what steps print into its logs: every redraw of a progress
    # bar would be a line there. Steps log their results instead.
    for stream in (sys.stdout, sys.stderr):
        vars(stream).pop("write", None)


def _is_ours(record: logging.LogRecord) -> bool:
    """ZenML logs the traceback of every failed step; our caller says it in one line."""
    return record.name.partition(".")[0] not in {"zenml", "alembic", "py"}
