"""As much of a Comet server as an online experiment talks to, keeping what it was told."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

UNKNOWN_KEY = {"sdk_error_code": 90212, "msg": "API key is not registered"}
HEARTBEAT = {
    "is_alive_beat_duration_millis": 10_000,
    "gpu_monitor_interval_millis": 60_000,
    "cpu_monitor_interval_millis": 60_000,
}


@dataclass
class CometServer:
    """Where it is, and what it was told."""

    url: str = ""
    metrics: list[tuple[str, float, int]] = field(default_factory=list)
    parameters: dict[str, object] = field(default_factory=dict)
    projects: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    """Everything, as it came."""
    refuses: bool = False
    away: bool = False
    """It breaks off every conversation."""

    def answer(self, path: str, told: Any) -> tuple[int, object]:
        if path.endswith("logger/add/run"):
            self.keys.add(told["apiKey"])
            if self.refuses:
                return 400, UNKNOWN_KEY
            self.projects.append(told["projectName"])
            return 200, {"runId": "run", "project_id": "project", "focusUrl": f"{self.url}/ada/"}
        if path.endswith("status-report/update"):
            return 200, HEARTBEAT
        if path.endswith("experiment/metric"):
            self.metrics += [
                (value["metricName"], value["metricValue"], value["step"])
                for value in told["values"]
            ]
        if path.endswith("experiment/parameter"):
            self.parameters |= {
                value["parameterName"]: value["parameterValue"] for value in told["values"]
            }
        return 200, {}


class _Server(ThreadingHTTPServer):
    comet: CometServer


class _Requests(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        told = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.comet.away:
            self.close_connection = True
            return
        if self.headers.get("Content-Encoding") == "gzip":
            told = gzip.decompress(told)
        self.server.comet.told.append(told.decode())
        status, answer = self.server.comet.answer(self.path, json.loads(told or b"{}"))
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815 (the name that the library calls)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def running_comet() -> Iterator[CometServer]:
    with _Server(("127.0.0.1", 0), _Requests) as server:
        server.comet = CometServer(url=f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.comet
        server.shutdown()
