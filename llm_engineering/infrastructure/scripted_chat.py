"""A chat model that says what it was told to, at a steady pace: for tests and for measuring.

It ends where its request says, at `max_tokens` or before a stop sequence, as an engine does. What
was due while nobody read comes in one piece, as from an engine that does not wait either.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from llm_engineering.domain.chat import (
    Capabilities,
    ChatRequest,
    Completion,
    Delta,
    Role,
    ToolCall,
    Usage,
)
from llm_engineering.domain.errors import BackendUnavailable, NotFound

TEXT = (
    "I keep everything in one file, because a backup is then one copy [1]. "
    "A restore is the same copy back, and nothing else has to be remembered. "
)
_TOKEN = re.compile(r"\s*\S+|\s+")

Script = Callable[[ChatRequest], str]


def _always(_: ChatRequest) -> str:
    return TEXT * 8


@dataclass
class ScriptedChat:
    """`ChatModel` whose tokens are words with the space before them."""

    script: Script = _always
    tokens_per_s: float | None = None
    """None: as fast as it is read."""
    first_token_s: float = 0.0
    calls: tuple[ToolCall, ...] = ()
    """What it has called, once, where it is given tools."""
    fails_after: int | None = None
    """Tokens after which it is gone, as a server that was killed."""
    named: tuple[str, ...] = ("scripted",)
    running: int = 0
    """Answers that are being said now."""
    requests: list[ChatRequest] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.named[0]

    @property
    def generates(self) -> bool:
        return True

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(adapters=len(self.named) > 1, tools=bool(self.calls), seed=True)

    def models(self) -> tuple[str, ...]:
        return self.named

    def count_tokens(self, text: str) -> int:
        return len(_TOKEN.findall(text))

    def complete(self, request: ChatRequest) -> Completion:
        tokens, completion = self._planned(request)
        time.sleep(self._due(len(tokens)))
        if self.fails_after is not None and self.fails_after < len(tokens):
            raise _gone()
        return completion

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Completion, None]:
        tokens, completion = self._planned(request)
        started, at = time.monotonic(), 0
        self.running += 1
        try:
            while at < len(tokens):
                if self.fails_after is not None and at >= self.fails_after:
                    raise _gone()
                # Without a pace it is still one token at a time, and others get their turn.
                late = started + self._due(at + 1) - time.monotonic()
                await asyncio.sleep(max(late, 0))
                until = self._spoken(time.monotonic() - started, at)
                yield Delta("".join(tokens[at:until]))
                at = until
        finally:
            self.running -= 1
        yield completion

    def _spoken(self, seconds: float, at: int) -> int:
        """Tokens that are due after so long, one more than `at` at least."""
        if self.tokens_per_s is None:
            return at + 1
        due = 1 + int((seconds - self.first_token_s) * self.tokens_per_s)
        limit = due if self.fails_after is None else min(due, self.fails_after)
        return max(at + 1, limit)

    def _due(self, token: int) -> float:
        """Seconds from the beginning to so many tokens."""
        pace = (token - 1) / self.tokens_per_s if self.tokens_per_s else 0.0
        return self.first_token_s + max(pace, 0.0)

    def _planned(self, request: ChatRequest) -> tuple[list[str], Completion]:
        if request.model and request.model not in self.named:
            raise NotFound(f"no model {request.model!r} but {', '.join(map(repr, self.named))}")
        self.requests.append(request)
        prompt = sum(self.count_tokens(message.content) for message in request.messages)
        model = request.model or self.name
        if self.calls and request.tools and request.messages[-1].role is not Role.TOOL:
            usage = Usage(prompt_tokens=prompt, completion_tokens=len(self.calls))
            return [], Completion(
                text="",
                finish_reason="tool_calls",
                tool_calls=self.calls,
                usage=usage,
                model=model,
            )
        text = self.script(request)
        stops = [at for stop in request.sampling.stop if (at := text.find(stop)) >= 0]
        text = text[: min(stops)] if stops else text
        tokens = _TOKEN.findall(text)
        cut = tokens[: request.max_tokens]
        return cut, Completion(
            text="".join(cut),
            finish_reason="length" if len(cut) < len(tokens) else "stop",
            usage=Usage(prompt_tokens=prompt, completion_tokens=len(cut)),
            model=model,
        )


def _gone() -> BackendUnavailable:
    return BackendUnavailable("the scripted model is gone; ask again")
