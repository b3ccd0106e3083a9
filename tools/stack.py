"""`twin stack`: the local ZenML dashboard over the runs of this machine."""

import http.client
import ipaddress
import json
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, MissingExtra
from llm_engineering.settings import DashboardSettings, load_settings
from pipelines.zenml_home import first_use, server_environment
from tools import processes
from tools.output import write_json

STARTUP_S = 120
STOP_S = 10
APPLICATION = "zenml.zen_server.zen_server_api:app"


@click.group()
def stack() -> None:
    """Start and stop the local ZenML dashboard."""


@stack.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def up(as_json: bool) -> None:
    """Start the dashboard and wait until it answers; fine when it is up already."""
    settings = load_settings()
    server = processes.running(_record(settings.home))
    if server is None:
        _start(settings.home, settings.dashboard)
    else:  # another `up` may still wait for it
        processes.wait_until(lambda: _answers(server.url), STARTUP_S)
    _print_status(settings.home, as_json=as_json)


@stack.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def down(as_json: bool) -> None:
    """Stop the dashboard; runs go on working without it."""
    home = load_settings().home
    if (server := processes.running(_record(home))) is not None:
        processes.stop(server, grace_s=STOP_S)
        _record(home).unlink(missing_ok=True)
    _print_status(home, as_json=as_json)


@stack.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Say whether the dashboard is up, and where."""
    _print_status(load_settings().home, as_json=as_json)


def _print_status(home: Path, *, as_json: bool) -> None:
    server = processes.running(_record(home))
    state = "down" if server is None else "up" if _answers(server.url) else "starting"
    if as_json:
        write_json({"dashboard": state, "url": server.url if server else None})
    else:
        click.echo(f"dashboard {state}" + (f" at {server.url}" if server else ""))


def _start(home: Path, dashboard: DashboardSettings) -> None:
    if find_spec("zenml") is None or find_spec("uvicorn") is None:
        raise MissingExtra("zenml", extra="zenml")
    _check_free(dashboard)
    url = _url(dashboard)
    log = _log(home)
    log.parent.mkdir(parents=True, exist_ok=True)
    with first_use(home), log.open("wb") as output:
        child = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "uvicorn", APPLICATION, "--no-server-header"),
                *("--host", dashboard.host, "--port", str(dashboard.port)),
                *("--timeout-graceful-shutdown", "2"),
            ],
            env=os.environ | server_environment(home, url=url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        processes.record(_record(home), url=url, pid=child.pid)
        try:
            processes.wait_until(lambda: child.poll() is not None or _answers(url), STARTUP_S)
            if child.poll() is not None or not _answers(url):
                raise BackendUnavailable(f"the dashboard did not start; its log is {log}")
        except BaseException:
            child.kill()
            child.wait()
            _record(home).unlink(missing_ok=True)
            raise
    _skip_survey(url)


def _skip_survey(url: str) -> None:
    """ZenML's page asks newcomers who they are before it shows anything; here it need not."""
    user = {
        "email_opted_in": False,
        "user_metadata": {"finished_onboarding_survey": True, "awareness_channels": ["other"]},
    }
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request(
            "PUT",
            "/api/v1/current-user",
            body=json.dumps(user),
            headers={"Content-Type": "application/json"},
        )
        connection.getresponse().read()
    finally:
        connection.close()


def _check_free(dashboard: DashboardSettings) -> None:
    """Raises InvalidInput for an address that others could reach: the dashboard asks nobody
    who they are. Raises BackendUnavailable when the port is taken.
    """
    host, port = dashboard.host, dashboard.port
    if host != "localhost" and not _is_loopback(host):
        raise InvalidInput(
            f"the dashboard has no login, so it listens on 127.0.0.1 only, not on {host!r}; "
            "set TWIN_DASHBOARD__HOST to a loopback address"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise BackendUnavailable(
            f"port {port} on {host} cannot be had: {os.strerror(error.errno or 0)}; "
            "set TWIN_DASHBOARD__PORT to a free one"
        ) from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _answers(url: str) -> bool:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _url(dashboard: DashboardSettings) -> str:
    host = f"[{dashboard.host}]" if ":" in dashboard.host else dashboard.host
    return f"http://{host}:{dashboard.port}"


def _record(home: Path) -> Path:
    return home / "run" / "dashboard.json"


def _log(home: Path) -> Path:
    return home / "logs" / "dashboard.log"
