"""One `vllm serve` from its start to its end, on a leash: it never outlives this process.

Does not know: when to start another one, which version is in production.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import IO, Any, Literal

from llm_engineering.domain.chat import Capabilities
from llm_engineering.domain.errors import BackendUnavailable, MissingExtra
from llm_engineering.infrastructure import leash
from llm_engineering.infrastructure.openai_chat import OpenAiChat
from llm_engineering.infrastructure.openai_place import Wording, transport_to
from llm_engineering.infrastructure.served_models import Served
from llm_engineering.infrastructure.token_counts import local_counter
from llm_engineering.infrastructure.vllm_command import (
    BASE_NAME,
    VllmOptions,
    command,
    environment,
    room_for,
)
from llm_engineering.infrastructure.vllm_log import ServerLog

try:
    import httpx
except ImportError as error:
    raise MissingExtra("httpx", extra="api") from error

GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""
_ADDRESS = "http://vllm"
"""The socket decides where it goes; the name is for messages."""
_HEALTH_TIMEOUT_S = 5.0
_LOAD_TIMEOUT_S = 120.0
_WORDING = Wording(
    gone="does not answer; if it has died it is started again: ask again in a minute",
    broken="ended its answer in the middle; it is started again: ask again in a minute",
)

Health = Literal["well", "silent", "dead"]


class VllmServer:
    """Started when it is made, which raises InvalidInput for what vLLM cannot hold, and OSError.

    `served` is what it held at the start.
    """

    def __init__(
        self, served: Served, options: VllmOptions, *, log: ServerLog, timeout_s: float
    ) -> None:
        self.served = served
        self.started = time.monotonic()
        self.context: int | None = None
        """Longest prompt with its answer; known once it is ready."""
        self._log = log
        self._count: Callable[[str], int] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="twin-vllm-"))  # mode 0700
        self._socket = self._folder / "socket"
        self._key = secrets.token_urlsafe(32)
        self._group: int | None = None
        try:
            self._leash = self._start(options)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._reader = Thread(target=self._read, name="vllm log", daemon=True)
        self._reader.start()
        self._client = httpx.Client(
            base_url=_ADDRESS,
            headers={"Authorization": f"Bearer {self._key}"},
            transport=transport_to(self._socket),
            timeout=_HEALTH_TIMEOUT_S,
        )
        self.chat = OpenAiChat(
            f"{_ADDRESS}/v1",
            model=BASE_NAME if served.adapter else served.version,
            api_key=self._key,
            timeout_s=timeout_s,
            capabilities=Capabilities(
                adapters=True,
                tools=bool(options.tool_parser),
                seed=True,
                template_options=True,
            ),
            socket=self._socket,
            wording=_WORDING,
        )

    @property
    def alive(self) -> bool:
        return self._leash.poll() is None

    @property
    def lived_s(self) -> float:
        return time.monotonic() - self.started

    def health(self) -> Health:
        """What it says of itself within a few seconds."""
        if not self.alive:
            return "dead"
        if not self._socket.exists():
            return "silent"
        try:
            status = self._client.get("/health").status_code
            if status == httpx.codes.SERVICE_UNAVAILABLE:  # its engine has died, and it will too
                return "dead"
            if self.context is None:
                told: Any = self._client.get("/v1/models").json()
                self.context = int(told["data"][0]["max_model_len"])
        except (httpx.TransportError, ValueError, KeyError, IndexError, TypeError):
            return "silent"
        return "well" if status == httpx.codes.OK else "silent"

    def count_tokens(self, text: str) -> int:
        """Raises BackendUnavailable when it must ask the server, which does not answer."""
        if self._count is None:
            self._count = local_counter(self.served.base) or self.chat.count_tokens
        return self._count(text)

    def takes(self, served: Served) -> bool:
        """Whether it can hold that version beside those that it has."""
        own = self.served
        return (
            own.adapter is not None
            and served.adapter is not None
            and own.base == served.base
            and served.rank <= room_for(own.room)
        )

    def load(self, served: Served) -> None:
        """Raises BackendUnavailable."""
        self._adapter_route("load", lora_name=served.version, lora_path=str(served.adapter))

    def unload(self, version: str) -> None:
        """Raises BackendUnavailable."""
        self._adapter_route("unload", lora_name=version)

    def let_go(self) -> None:
        """Begin to end it."""
        assert self._leash.stdin is not None
        self._leash.stdin.close()

    def end(self) -> None:
        """End it, and wait until nothing of it is left. Ending twice is fine."""
        self.let_go()
        try:
            self._leash.wait(GRACE_S + 5)
        except subprocess.TimeoutExpired:
            self._leash.kill()
            self._leash.wait()
        if self._leash.returncode < 0 and self._group is not None:
            leash.kill_group(self._group)
        self._reader.join(5)
        self.chat.close()
        self._client.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, options: VllmOptions) -> "subprocess.Popen[str]":
        self._log.begins(f"starting {self.served.version} on {self.served.base}")
        return subprocess.Popen(
            [
                *(sys.executable, "-I", leash.__file__),
                *(leash.REMOVE, str(self._folder), str(GRACE_S)),
                *command(self.served, options, socket=self._socket),
            ],
            env=environment(self.served, options, key=self._key, environ=os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def _read(self) -> None:
        """Until every process that could write has ended."""
        output: IO[str] | None = self._leash.stdout
        assert output is not None
        with output:
            for line in output:
                if line.startswith(leash.PID_LINE):
                    self._group = int(line.removeprefix(leash.PID_LINE))
                elif said := line.rstrip():
                    self._log.says(said.replace(self._key, "**********"))

    def _adapter_route(self, verb: str, **body: str) -> None:
        try:
            reply = self._client.post(
                f"/v1/{verb}_lora_adapter", json=body, timeout=_LOAD_TIMEOUT_S
            )
        except httpx.TransportError:
            raise BackendUnavailable(
                f"vLLM did not {verb} {body['lora_name']}: it does not answer; "
                f"its log is {self._log.path}"
            ) from None
        if reply.status_code != httpx.codes.OK:
            said = " ".join(reply.text.split())[:200]
            raise BackendUnavailable(
                f"vLLM did not {verb} {body['lora_name']} (HTTP {reply.status_code}): {said}; its "
                f"log is {self._log.path}"
            )
