"""Servers that speak MongoDB's protocol: NX-27017 as a child process, and one that refuses."""

import socket
import socketserver
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import bson

STARTS_WITHIN_S = 60
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
GREETING = {
    "ok": 1.0,
    "ismaster": True,
    "isWritablePrimary": True,
    "maxWireVersion": 21,
    "minWireVersion": 0,
    "maxBsonObjectSize": 16_777_216,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
}


@contextmanager
def running_mongo(folder: Path) -> Iterator[str]:
    """Its URI. It keeps everything in memory, logs to `folder`, and ends with the block."""
    port = free_port()
    arguments = ["--data-dir", "memory", "--host", "127.0.0.1", "--port", str(port)]
    files = ["--log-file", str(folder / "log"), "--pid-file", str(folder / "pid")]
    with (folder / "output").open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "nx_27017.nx_27017", *arguments, *files],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(server, port, folder / "output")
        yield f"mongodb://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(server: "subprocess.Popen[bytes]", port: int, output: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nx-27017 did not start: {output.read_text()}")


class _RefusingServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    error: Mapping[str, object]


class _Refusal(socketserver.BaseRequestHandler):
    """Greets as MongoDB does and answers every other command with the server's error."""

    server: _RefusingServer

    def handle(self) -> None:
        while len(header := self.request.recv(16, socket.MSG_WAITALL)) == 16:
            length, request, _, opcode = struct.unpack("<iiii", header)
            body = self.request.recv(length - 16, socket.MSG_WAITALL)
            if opcode == OP_QUERY:  # only ever the greeting
                self._reply(request, OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1), GREETING)
            else:
                size = int.from_bytes(body[5:9], "little")
                command = next(iter(bson.decode(body[5 : 5 + size])))
                answer = GREETING if command in ("hello", "ismaster") else self.server.error
                self._reply(request, OP_MSG, struct.pack("<iB", 0, 0), answer)

    def _reply(self, to: int, opcode: int, head: bytes, answer: Mapping[str, object]) -> None:
        payload = head + bson.encode(answer)
        self.request.sendall(struct.pack("<iiii", len(payload) + 16, 1, to, opcode) + payload)


@contextmanager
def refusing_mongo(code: int, message: str) -> Iterator[int]:
    """Port of a server that answers every command but the greeting with that error."""
    with _RefusingServer(("127.0.0.1", 0), _Refusal) as server:
        server.error = {"ok": 0.0, "code": code, "errmsg": message}
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
