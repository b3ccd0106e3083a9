"""A program that behaves like `vllm serve` to whoever starts it, without a model.

It says what vLLM says while it starts, has an engine in a process of its own, listens on its
socket, asks for its key below /v1, loads and unloads adapters, and answers with the name of the
version, word by word. Stricter than vLLM: an answer whose adapter is unloaded is cut off.

The folder FAKE_VLLM tells it what to do, and is told what it does:

    refuses         exists: it fails as vLLM does on a model that it cannot load
    sick            exists: it says that its engine is dead
    pause_s         seconds between two words
    loading_s       seconds before it listens
    starts.jsonl    {"pid", "engine", "arguments"} of every start
    requests.jsonl  {"path", "key"} of every request but the ones for its health

Runs as a script, with the standard library alone.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("FAKE_VLLM", "."))
WORDS = 12
"""Of an answer."""


def number(name: str, default: float) -> float:
    try:
        return float((FOLDER / name).read_text())
    except FileNotFoundError:
        return default


def note(name: str, **values: object) -> None:
    with (FOLDER / name).open("a") as file:
        file.write(json.dumps(values) + "\n")


def say(level: str, text: str) -> None:
    line = f"(APIServer pid={os.getpid()}) {level} 11-25 18:28:10 [core.py:1] {text}\n"
    sys.stdout.write(line)
    sys.stdout.flush()


class State:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.base = arguments.served_model_name
        self.adapters = dict(each.split("=", 1) for each in arguments.lora_modules)
        self.lora = arguments.enable_lora
        self.context = arguments.max_model_len


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def address_string(self) -> str:
        return "a socket"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        if self.path == "/health":
            self.reply(503 if (FOLDER / "sick").exists() else 200, {})
        elif self.known() and self.path == "/v1/models":
            names = (self.state.base, *self.state.adapters)
            listed = [{"id": name, "max_model_len": self.state.context} for name in names]
            self.reply(200, {"data": listed})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.known():
            return
        match self.path:
            case "/tokenize":
                self.reply(200, {"count": len(body["prompt"].split())})
            case "/v1/load_lora_adapter":
                self.load(body["lora_name"], body["lora_path"])
            case "/v1/unload_lora_adapter":
                found = self.state.adapters.pop(body["lora_name"], None)
                self.reply(200 if found else 404, {"message": "done"})
            case "/v1/chat/completions":
                self.answer(body)
            case _:
                self.reply(404, {"detail": "Not Found"})

    def known(self) -> bool:
        key = self.headers.get("Authorization")
        note("requests.jsonl", path=self.path, key=key)
        if self.path.startswith("/v1") and key != f"Bearer {os.environ['VLLM_API_KEY']}":
            self.reply(401, {"error": "Unauthorized"})
            return False
        return True

    def load(self, name: str, path: str) -> None:
        if not (Path(path) / "adapter_config.json").is_file():
            self.reply(404, {"message": f"No adapter found for {path}"})
        elif os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") != "True":
            self.reply(404, {"message": "Not Found"})
        else:
            self.state.adapters[name] = path
            self.reply(200, {"message": "done"})

    def answer(self, body: dict[str, Any]) -> None:
        name = body["model"]
        if name not in (self.state.base, *self.state.adapters):
            self.reply(404, {"error": {"message": f"The model `{name}` does not exist."}})
            return
        if body["max_tokens"] > self.state.context:
            self.reply(
                400, {"error": {"message": "max_tokens is too large", "param": "max_tokens"}}
            )
            return
        if not body.get("stream"):
            for _ in range(WORDS):
                time.sleep(number("pause_s", 0))
            self.reply(200, completion(name, f"{name} " * WORDS))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for _ in range(WORDS):
            time.sleep(number("pause_s", 0))
            if name not in (self.state.base, *self.state.adapters):
                return
            self.event({"delta": {"content": f"{name} "}}, name)
        self.event({"delta": {}, "finish_reason": "stop"}, name)
        self.wfile.write(b"data: [DONE]\n\n")

    def event(self, choice: dict[str, Any], name: str) -> None:
        self.wfile.write(f"data: {json.dumps({'model': name, 'choices': [choice]})}\n\n".encode())

    def reply(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def completion(name: str, text: str) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": WORDS}
    return {"model": name, "choices": [choice], "usage": usage}


class Server(ThreadingHTTPServer):
    address_family = socket.AF_UNIX
    request_queue_size = 512
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asked is gone."""


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("serve", choices=["serve"])
    parser.add_argument("base")
    parser.add_argument("--uds", required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--max-model-len", type=int, required=True)
    parser.add_argument("--lora-modules", nargs="*", default=[])
    parser.add_argument("--enable-lora", action="store_true")
    return parser.parse_known_args(arguments)[0]


def main() -> None:
    arguments = parsed(sys.argv[1:])
    engine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note("starts.jsonl", pid=os.getpid(), engine=engine.pid, arguments=sys.argv[1:])
    say("INFO", "Starting to load model " + arguments.base)
    time.sleep(number("loading_s", 0))
    if (FOLDER / "refuses").exists():
        say("ERROR", "Engine core initialization failed.")
        sys.stderr.write("ValueError: No supported architecture in config.json\n")
        engine.kill()
        sys.exit("nanobind: leaked 514 functions!")
    Handler.state = State(arguments)
    server = Server(arguments.uds, Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    say("INFO", "Starting vLLM server on unix:" + arguments.uds)
    server.serve_forever(poll_interval=0.05)
    engine.kill()


if __name__ == "__main__":
    main()
