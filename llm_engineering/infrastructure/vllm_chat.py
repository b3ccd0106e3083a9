"""Answers from a vLLM server of our own: whichever version is in production, on whichever server.

Does not know: how a server is kept, what travels to it.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

from llm_engineering.domain.chat import Capabilities, ChatRequest, Completion, Delta
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure.served_models import Served, ServedModels
from llm_engineering.infrastructure.vllm_command import (
    VllmOptions,
    find_vllm,
    has_gpu,
    own_arguments,
)
from llm_engineering.infrastructure.vllm_keeper import VllmKeeper
from llm_engineering.infrastructure.vllm_lanes import Lane
from llm_engineering.infrastructure.vllm_log import ServerLog
from llm_engineering.infrastructure.vllm_patience import Patience
from llm_engineering.infrastructure.vllm_server import VllmServer
from llm_engineering.ports.jobs import ModelRegistry


class VllmChat:
    """Generating `ChatModel`. Its server starts when it is made; `close` ends it."""

    def __init__(
        self,
        models: ServedModels,
        options: VllmOptions,
        *,
        log: Path,
        timeout_s: float,
        patient: bool,
        patience: Patience | None = None,
    ) -> None:
        """`patient`: whoever asks before the first start is done waits for it.

        Raises NotFound when nothing is in production.
        """
        self._tools = bool(options.tool_parser)
        patience = patience or Patience()
        self._wait_s = patience.start_s if patient else 0.0
        said = ServerLog(log)

        def start(served: Served) -> VllmServer:
            return VllmServer(served, options, log=said, timeout_s=timeout_s)

        self._keeper = VllmKeeper(
            models, start, log=said, two_fit=options.two_fit, patience=patience
        )
        self._keeper.begin()

    @property
    def name(self) -> str:
        """Of the version in production."""
        return self._keeper.version

    @property
    def generates(self) -> bool:
        return True

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            adapters=True,
            tools=self._tools,
            seed=True,
            logprobs=True,
            structured_output=True,
            template_options=True,
            context=self._keeper.context,
        )

    def models(self) -> tuple[str, ...]:
        """What is loaded; when nothing is, what is to be."""
        return self._keeper.lanes.versions() or (self._keeper.version,)

    def count_tokens(self, text: str) -> int:
        """As the base counts. Raises BackendUnavailable when nothing answers now."""
        with self._lane("") as lane:
            return lane.server.count_tokens(text)

    def complete(self, request: ChatRequest) -> Completion:
        with self._lane(request.model) as lane:
            return lane.server.chat.complete(_to(lane, request))

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Completion, None]:
        """The version is that of the moment when it is asked, to the last word."""
        if self._wait_s:
            await asyncio.to_thread(self._keeper.wait, self._wait_s)
        with self._lane(request.model) as lane:
            async with aclosing(lane.server.chat.stream(_to(lane, request))) as pieces:
                async for piece in pieces:
                    yield piece

    def close(self) -> None:
        """End the server; closing twice is fine."""
        self._keeper.end()

    @contextmanager
    def _lane(self, version: str) -> Iterator[Lane]:
        """Raises BackendUnavailable when nothing answers now."""
        if self._wait_s:
            self._keeper.wait(self._wait_s)
        with self._keeper.lanes.taken(version) as lane:
            if lane is None:
                raise self._keeper.trouble()
            try:
                yield lane
            except BackendUnavailable:
                self._keeper.doubt()
                raise


def _to(lane: Lane, request: ChatRequest) -> ChatRequest:
    """vLLM shortens an answer to what the prompt leaves of the context, but refuses more than all
    of it."""
    tokens = min(request.max_tokens, lane.server.context or request.max_tokens)
    return request.model_copy(update={"model": lane.version, "max_tokens": tokens})


def vllm_chat(
    registry: ModelRegistry,
    *,
    home: Path,
    command: str,
    arguments: str,
    timeout_s: float,
    start_timeout_s: float,
    deaths: int,
    patient: bool,
    **options: Any,
) -> VllmChat:
    """With everything that it keeps below `home`; `options` are the rest of VllmOptions.

    Raises InvalidInput for what is set up wrongly, NotFound when nothing is in production.
    """
    return VllmChat(
        ServedModels(registry, home=home, folder=home / "serving"),
        VllmOptions(
            executable=find_vllm(command),
            arguments=own_arguments(arguments),
            gpu=has_gpu(),
            **options,
        ),
        log=home / "logs" / "vllm.log",
        timeout_s=timeout_s,
        patient=patient,
        patience=Patience(start_s=start_timeout_s, deaths=deaths),
    )
