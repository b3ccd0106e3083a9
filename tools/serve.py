"""`twin serve`: the REST API, in this terminal or on its own."""

import http.client
import ipaddress
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import click

from llm_engineering.application.rag.answer import AnswerConfig
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, MissingExtra
from llm_engineering.settings import Settings, load_settings
from pipelines.configs import load_config
from tools import processes

STARTUP_S = 60
STOP_S = 25
"""Longer than the server gives its running requests."""
BACKLOG = 2048
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
@click.option("--background", "mode", flag_value="background", help="Start it and return.")
@click.option("--stop", "mode", flag_value="stop", help="End the running server.")
@click.option("--status", "mode", flag_value="status", help="Exit code 0 when one runs, else 1.")
def serve(
    host: str | None,
    port: int | None,
    config_path: Path | None,
    mode: Literal["background", "stop", "status"] | None,
) -> None:
    """Serve the REST API until Ctrl-C; its documentation is at /docs."""
    given = load_settings()
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


def record_path(settings: Settings) -> Path:
    return settings.home / "run" / "api.json"


def log_path(settings: Settings) -> Path:
    return settings.home / "logs" / "api.log"


def _serve(settings: Settings, config_path: Path | None) -> None:
    if (server := processes.running(record_path(settings))) is not None:
        raise InvalidInput(f"{_already(server)}; end it with 'twin serve --stop'")
    config = load_config(config_path, AnswerConfig) if config_path else AnswerConfig()
    with _listen(settings) as listener:
        try:
            from llm_engineering.api.server import run_server
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or "fastapi", extra="api") from error
        url = _url(settings)
        processes.record(record_path(settings), url=url)
        if settings.api.log == "text":
            click.echo(f"serving on {url}, documented at {url}/docs; Ctrl-C ends it", err=True)
        try:
            with open_app(_guarded(settings)) as app:
                run_server(app, config=config, listener=listener)
        finally:
            processes.forget(record_path(settings))


def _start(settings: Settings, config_path: Path | None) -> None:
    record = record_path(settings)
    if (server := processes.running(record)) is not None:
        click.echo(_already(server))
        return
    # Taken and given back: a port in use is told at once, not in a log.
    _listen(settings).close()
    host, port = settings.api.host, settings.api.port
    configured = ["-c", str(config_path)] if config_path else []
    log = log_path(settings)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        said_before = output.tell()
        child = subprocess.Popen(
            [*TWIN, "serve", *configured, "--host", host, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def settled() -> bool:
        server = processes.running(record)
        serves = server is not None and server.pid == child.pid and _has_loaded(settings)
        return child.poll() is not None or serves

    if not processes.wait_until(settled, STARTUP_S):
        child.kill()
    if child.poll() is not None:
        raise BackendUnavailable(
            f"the server did not start: {_last_line(log, said_before)} (the log is {log})"
        )
    click.echo(f"serving on {_url(settings)} (pid {child.pid}, log {log})")


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


def _listen(settings: Settings) -> socket.socket:
    """Where others can reach it, only with a key that they need."""
    with open_app(settings) as app:
        now = datetime.now(UTC)
        keys = any(key.state(now) == "live" for key in app.keys.all())
    return listen(settings.api.host, settings.api.port, keys=keys)


def _guarded(settings: Settings) -> Settings:
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
        return socket.create_server((address, port), family=family, backlog=BACKLOG)
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


def _url(settings: Settings) -> str:
    host = settings.api.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.api.port}"


def _already(server: processes.ServerRecord) -> str:
    return f"already serving on {server.url} (pid {server.pid})"


def _has_loaded(settings: Settings) -> bool:
    """Whether the server answers and has its models; its index may still be empty."""
    connection = http.client.HTTPConnection(settings.api.host, settings.api.port, timeout=2)
    try:
        connection.request("GET", "/ready")
        return b"still loading" not in connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _last_line(log: Path, offset: int) -> str:
    with log.open("rb") as said:
        said.seek(offset)
        lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("twin: error: ") if lines else "it said nothing"
