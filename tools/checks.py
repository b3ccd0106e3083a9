"""What `twin doctor` looks at: each check is one function from an App to a finding."""

import http.client
import json
import platform
import shutil
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec

from llm_engineering.application.rag.retrieve import check_encoders
from llm_engineering.bootstrap import App, vllm_command
from llm_engineering.domain.errors import IndexEmpty, TwinError
from llm_engineering.ports.models import Embedder
from llm_engineering.settings import (
    SentenceTransformerSettings,
    Settings,
    VllmSettings,
)
from tools.extras import EXTRAS, installed, needed_extras

TIMEOUT_S = 2.0
LOW_DISK_BYTES = 2_000_000_000


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"
    """Something optional is missing or off."""
    FAIL = "fail"
    """Something that the current settings need does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw."""

    status: Status
    detail: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at; an error while looking is a failure only of what is needed."""

    name: str
    look: Callable[[App], Finding]
    needed: bool


def all_checks(settings: Settings) -> Iterator[Check]:
    """In the order in which a newcomer would set things up."""
    yield Check("python", _python, needed=True)
    needed = set(needed_extras(settings))
    for extra in EXTRAS:
        yield Check(f"extra {extra}", _extra(extra, needed=extra in needed), extra in needed)
    yield Check("home", _home, needed=True)
    yield Check("documents", _documents, needed=True)
    yield Check("embedder", _embedder, needed=True)
    yield Check("index", _index, needed=True)
    yield Check("cuda", _cuda, needed=_wants_cuda(settings))
    yield Check("vllm", _vllm, needed=isinstance(settings.chat, VllmSettings))
    yield Check("jobs", _jobs, needed=True)
    yield Check("model hub", _hub, needed=False)
    yield Check("api", _api, needed=False)
    yield Check("dashboard", _dashboard, needed=False)


def examine(check: Check, app: App) -> Finding:
    """Look, whatever happens: an error becomes a finding."""
    bad = Status.FAIL if check.needed else Status.WARN
    try:
        return check.look(app)
    except TwinError as error:
        return finding_of(error, bad)
    except Exception as error:  # a broken vendor must not hide the other checks
        return Finding(bad, f"{type(error).__name__}: {error}")


def finding_of(error: TwinError, status: Status) -> Finding:
    """Our messages end in '; <the fix>'."""
    what, semicolon, fix = str(error).rpartition("; ")
    return Finding(status, what, fix) if semicolon else Finding(status, fix)


def _vllm(app: App) -> Finding:
    chat = app.settings.chat
    command = chat.command if isinstance(chat, VllmSettings) else ""
    return Finding(Status.OK, str(vllm_command(command)))


def _python(_: App) -> Finding:
    detail = f"{platform.python_version()} at {sys.executable}"
    if (3, 11) <= sys.version_info < (3, 13):
        return Finding(Status.OK, detail)
    return Finding(Status.FAIL, detail, "use Python 3.11 or 3.12")


def _extra(extra: str, *, needed: bool) -> Callable[[App], Finding]:
    def look(_: App) -> Finding:
        versions, missing = installed(extra)
        if not missing:
            return Finding(Status.OK, ", ".join(versions))
        detail = f"not installed: {', '.join(missing)}"
        fix = f"pip install 'llm-twin[{extra}]'"
        return Finding(Status.FAIL if needed else Status.WARN, detail, fix)

    return look


def _home(app: App) -> Finding:
    home = app.home.absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as probe:
            probe.write(b"?")
    except OSError as error:
        fix = "make it a folder that you may write to, or set TWIN_HOME"
        return Finding(Status.FAIL, f"{home}: {error.strerror}", fix)
    free = shutil.disk_usage(home).free
    detail = f"{home}, {free / 1e9:.1f} GB free"
    if free < LOW_DISK_BYTES:
        return Finding(Status.WARN, detail, "free some space, or set TWIN_HOME to another disk")
    return Finding(Status.OK, detail)


def _documents(app: App) -> Finding:
    kinds = Counter(head.kind.value for head in app.documents.heads())
    where = app.settings.documents.kind
    if not kinds:
        fix = "twin run etl, or twin documents import"
        return Finding(Status.WARN, f"{where}: no documents yet", fix)
    counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    return Finding(Status.OK, f"{where}: {kinds.total():,} documents ({counts})")


def _embedder(app: App) -> Finding:
    embedder = app.embedder
    vector = embedder.embed(["Is anybody there?"])[0]
    size = f"{embedder.name}, {len(vector)} dimensions, window {embedder.window} tokens"
    return Finding(Status.OK, ", ".join([size, *_detected(embedder)]))


def _detected(embedder: Embedder) -> Iterator[str]:
    """What an embedder found out about this machine and why; the port asks for none of it."""
    for what in ("device", "precision"):
        if (found := getattr(embedder, what, None)) is not None:
            reason = getattr(found, "reason", "")
            yield f"{what} {getattr(found, 'name', found)}" + (f" ({reason})" if reason else "")


def _index(app: App) -> Finding:
    where = app.settings.vectors.kind
    try:
        check_encoders(app.index, app.embedder, app.sparse)
    except IndexEmpty as error:
        return finding_of(error, Status.WARN)
    detail = f"{where}: version {app.index.version()}, {app.index.count():,} sentences"
    return Finding(Status.OK, detail)


def _wants_cuda(settings: Settings) -> bool:
    match settings.embedder:
        case SentenceTransformerSettings(device=str(device)):
            return device.startswith("cuda")
    return False


def _cuda(app: App) -> Finding:
    if find_spec("torch") is None:
        return Finding(Status.OK, "not looked for: torch is not installed and nothing needs it")
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 1e9
        name = f"{torch.cuda.get_device_name()} with {memory:.0f} GB"
        return Finding(Status.OK, f"{name}, torch {torch.__version__}")
    detail = f"torch {torch.__version__} sees no CUDA device"
    if _wants_cuda(app.settings):
        return Finding(Status.FAIL, detail, "unset TWIN_EMBEDDER__DEVICE, or install a CUDA torch")
    return Finding(Status.OK, f"{detail}; everything runs on the CPU")


def _jobs(app: App) -> Finding:
    """Where training runs, looked at as a job would: folder, or role, image, bucket, instance."""
    return Finding(Status.OK, app.jobs.place())


def _hub(_: App) -> Finding:
    if find_spec("huggingface_hub") is None:
        return Finding(Status.OK, "not looked for: nothing that is installed downloads models")
    from huggingface_hub.constants import ENDPOINT

    # Name resolution ignores timeouts, so the wait is bounded from outside.
    outcome: list[Finding] = []
    thread = threading.Thread(target=lambda: outcome.append(_reach(ENDPOINT)), daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    return outcome[0] if outcome else _unreachable(f"no answer from {ENDPOINT} in {TIMEOUT_S:g} s")


def _reach(url: str) -> Finding:
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 (the hub's own constant)
    try:
        urllib.request.urlopen(request, timeout=TIMEOUT_S).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        return Finding(Status.OK, f"{url} answers ({error.code})")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return _unreachable(f"{url}: {error}")
    return Finding(Status.OK, f"{url} answers")


def _unreachable(detail: str) -> Finding:
    fix = "give models as folders, or connect; the default embedder needs no hub"
    return Finding(Status.WARN, detail, fix)


def _api(app: App) -> Finding:
    here = app.settings.api
    try:
        status, body = _get(here.host, here.port, "/health")
    except ConnectionRefusedError:
        return Finding(Status.WARN, f"not running on {here.host}:{here.port}", "twin serve")
    try:
        version = json.loads(body)["version"]
    except (ValueError, KeyError, TypeError):
        detail = f"something else answers on {here.host}:{here.port} ({status})"
        return Finding(Status.WARN, detail, "set TWIN_API__PORT to a free port")
    return Finding(Status.OK, f"version {version} on http://{here.host}:{here.port}")


def _dashboard(app: App) -> Finding:
    here = app.settings.dashboard
    try:
        status, _ = _get(here.host, here.port, "/health")
    except ConnectionRefusedError:
        return Finding(Status.WARN, f"not running on {here.host}:{here.port}", "twin stack up")
    detail = f"http://{here.host}:{here.port} answers ({status})"
    return Finding(Status.OK if status == http.HTTPStatus.OK else Status.WARN, detail)


def _get(host: str, port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(10_000)
    finally:
        connection.close()
