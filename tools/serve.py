"""`twin serve`: the REST API, in this terminal or on its own."""

import http.client
import ipaddress
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import click

from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, MissingExtra
from llm_engineering.settings import Settings, VllmSettings, load_settings
from pipelines.configs import load_config
from tools import processes
from tools.output import note

STARTUP_S = 60
STOP_S = 25
"""Longer than the server gives its running requests."""
BACKLOG = 2048
LOOK_S = 0.5
"""Between two looks at an engine that takes minutes."""
_LOADING, _STARTING, _NOT_READY = "still loading", "vLLM is still loading", "not ready: "
ENGINES = ("quotes", "openai", "vllm")
# -P: a folder named `tools` where the command happens to be called must not be imported.
TWIN = (sys.executable, "-P", "-c", "import sys, tools.cli; sys.exit(tools.cli.main())")


@click.command()
@click.option("--host", help="Address to listen on. [default: TWIN_API__HOST]")
@click.option("--port", type=click.IntRange(1, 65535), help="[default: TWIN_API__PORT]")
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="How questions are answered, e.g. configs/rag.yaml. [default: built-in values]",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    help="Who answers; vllm starts a server of its own. [default: TWIN_CHAT__KIND]",
)
@click.option("--background", "mode", flag_value="background", help="Start it and return.")
@click.option("--stop", "mode", flag_value="stop", help="End the running server.")
@click.option("--status", "mode", flag_value="status", help="Exit code 0 when one runs, else 1.")
def serve(
    host: str | None,
    port: int | None,
    config_path: Path | None,
    engine: str | None,
    mode: Literal["background", "stop", "status"] | None,
) -> None:
    """Serve the REST API until Ctrl-C; its documentation is at /docs."""
    given = load_settings(_with_engine(engine))
    options = {"host": host, "port": port}
    chosen = {name: value for name, value in options.items() if value is not None}
    settings = given.model_copy(update={"api": given.api.model_copy(update=chosen)})
    match mode:
        case "background":
            _start(settings, config_path)
        case "stop":
            _stop(settings)
        case "status":
            _status(settings)
        case None:
            _serve(settings, config_path)


def _with_engine(engine: str | None) -> Mapping[str, str]:
    """The environment, with TWIN_CHAT__KIND as it was chosen."""
    return os.environ | {"TWIN_CHAT__KIND": engine} if engine else os.environ


def record_path(settings: Settings) -> Path:
    return settings.home / "run" / "api.json"


def log_path(settings: Settings) -> Path:
    return settings.home / "logs" / "api.log"


def _serve(settings: Settings, config_path: Path | None) -> None:
    if (server := processes.running(record_path(settings))) is not None:
        raise InvalidInput(f"{_already(server)}; end it with 'twin serve --stop'")
    config = load_config(config_path, AnswerConfig) if config_path else AnswerConfig()
    with guarded_listener(settings) as listener:
        try:
            from llm_engineering.api.server import run_server
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or "fastapi", extra="api") from error
        url = url_of(settings)
        processes.record(record_path(settings), url=url)
        try:
            with open_app(guarded(impatient(settings, config))) as app:
                if isinstance(settings.chat, VllmSettings):
                    app.chat  # noqa: B018  starts now; what is set up wrongly is told at once
                if settings.api.log == "text":
                    where = f"the page is {url}/, the API's documentation {url}/docs"
                    click.echo(f"serving on {url}: {where}; Ctrl-C ends it", err=True)
                run_server(app, config=config, listener=listener)
        finally:
            processes.forget(record_path(settings))


def impatient(settings: Settings, config: AnswerConfig) -> Settings:
    """Room for what the config asks, and 503 as long as the engine starts: a search needs none."""
    match settings.chat:
        case VllmSettings() as vllm:
            length = vllm.max_model_len or config.context_tokens
            chat = vllm.model_copy(update={"patient": False, "max_model_len": length})
            return settings.model_copy(update={"chat": chat})
        case _:
            return settings


def _startup_s(settings: Settings) -> float:
    match settings.chat:
        case VllmSettings() as vllm:
            return STARTUP_S + vllm.start_timeout_s
        case _:
            return STARTUP_S


def _start(settings: Settings, config_path: Path | None) -> None:
    if (server := processes.running(record_path(settings))) is not None:
        click.echo(_already(server))
        return
    # Taken and given back: a port in use is told at once, not in a log.
    guarded_listener(settings).close()
    log = log_path(settings)
    log.parent.mkdir(parents=True, exist_ok=True)
    said_before = log.stat().st_size if log.exists() else 0
    child = _launched(settings, config_path)
    state = _followed(child, settings)
    if child.poll() is not None:
        raise BackendUnavailable(
            f"the server did not start: {_last_line(log, said_before)} (the log is {log})"
        )
    if isinstance(settings.chat, VllmSettings) and state.startswith(_NOT_READY):
        child.terminate()
        child.wait()
        raise BackendUnavailable(f"the server did not start: {state.removeprefix(_NOT_READY)}")
    click.echo(f"serving on {url_of(settings)} (pid {child.pid}, log {log})")


def _launched(settings: Settings, config_path: Path | None) -> "subprocess.Popen[bytes]":
    configured = ["-c", str(config_path)] if config_path else []
    engine = ["--engine", settings.chat.kind] if settings.chat.kind in ENGINES else []
    place = ["--host", settings.api.host, "--port", str(settings.api.port)]
    with log_path(settings).open("ab") as output:
        return subprocess.Popen(
            [*TWIN, "serve", *configured, *engine, *place],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _followed(child: "subprocess.Popen[bytes]", settings: Settings) -> str:
    """How its model is, once it has loaded or failed to; it is killed when that takes too long."""
    seen = ""

    def settled() -> bool:
        nonlocal seen
        server = processes.running(record_path(settings))
        if server is not None and server.pid == child.pid:
            state = _model_state(settings)
            if _without_times(state) != _without_times(seen) and _LOADING in state:
                note(state)
            seen = state
        if _STARTING in seen:
            time.sleep(LOOK_S)
        return child.poll() is not None or bool(seen and _LOADING not in seen)

    if not processes.wait_until(settled, _startup_s(settings)):
        child.kill()
        child.wait()
    return seen


def _stop(settings: Settings) -> None:
    server = processes.running(record_path(settings))
    if server is None:
        click.echo("no server runs")
        return
    match processes.stop(server, grace_s=STOP_S):
        case "ended":
            click.echo(f"ended the server at {server.url}")
        case "killed":
            click.echo(f"killed the server at {server.url}, which did not end in {STOP_S} s")


def _status(settings: Settings) -> None:
    server = processes.running(record_path(settings))
    if server is None:
        click.echo("no server runs")
        raise SystemExit(1)
    click.echo(f"serving on {server.url} (pid {server.pid})")


def guarded_listener(settings: Settings) -> socket.socket:
    """Where others can reach it, only with a key that they need."""
    with open_app(settings) as app:
        now = datetime.now(UTC)
        keys = any(key.state(now) == "live" for key in app.keys.all())
    return listen(settings.api.host, settings.api.port, keys=keys)


def guarded(settings: Settings) -> Settings:
    """Where others can reach it, keys are asked for even when all are gone."""
    reached = not all(map(_is_loopback, _addresses(settings.api.host, settings.api.port)))
    api = settings.api.model_copy(update={"auth": "required"} if reached else {})
    return settings.model_copy(update={"api": api})


def listen(host: str, port: int, *, keys: bool = False) -> socket.socket:
    """A listening socket; raises InvalidInput for an address that others could reach when there
    are no `keys`, and BackendUnavailable when the port cannot be had.
    """
    addresses = _addresses(host, port)
    if not keys and not all(map(_is_loopback, addresses)):
        raise InvalidInput(
            f"{host!r} can be reached from other machines and there is no key to the API; make one "
            "with 'twin keys create NAME', or listen on 127.0.0.1"
        )
    address = addresses[0]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, port), family=family, backlog=BACKLOG)
        # Connections inherit it. asyncio sets it only where a socket names its protocol, and this
        # one does not: the last piece of a stream would wait for the client's delayed ACK, 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise BackendUnavailable(
            f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}; choose another "
            "with --port or TWIN_API__PORT"
        ) from None


def _addresses(host: str, port: int) -> list[str]:
    """Of a host, those of IPv4 first. Raises InvalidInput when it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise InvalidInput(f"no address for host {host!r}; use 127.0.0.1") from None
    found.sort(key=lambda address: address[0] != socket.AF_INET)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def url_of(settings: Settings) -> str:
    host = settings.api.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.api.port}"


def _already(server: processes.ServerRecord) -> str:
    return f"already serving on {server.url} (pid {server.pid})"


def _without_times(state: str) -> str:
    return re.sub(r"\d+ s\b", "", state)


def _model_state(settings: Settings) -> str:
    """How the model is, as /ready says; '' when the server does not answer."""
    connection = http.client.HTTPConnection(settings.api.host, settings.api.port, timeout=2)
    try:
        connection.request("GET", "/ready")
        parts = json.loads(connection.getresponse().read())["parts"]
        (model,) = (part for part in parts if part["name"] == "model")
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return ""
    return f"{'' if model['ready'] else _NOT_READY}{model['detail']}"


def _last_line(log: Path, offset: int) -> str:
    with log.open("rb") as said:
        said.seek(offset)
        lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("twin: error: ") if lines else "it said nothing"
