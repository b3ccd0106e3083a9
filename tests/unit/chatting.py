"""Chat models for tests that say what they are told to, and remember what they were asked."""

import asyncio
from collections.abc import AsyncGenerator

from llm_engineering.domain.chat import Capabilities, ChatRequest, Completion, Delta


class WholeChat:
    """What chats that only answer as a whole have in common; the rest is theirs."""

    name = "whole"
    generates = True
    capabilities = Capabilities()

    def models(self) -> tuple[str, ...]:
        return (self.name,)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def complete(self, request: ChatRequest) -> Completion:
        raise NotImplementedError

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Completion, None]:
        """As one piece, made in a thread: it may wait."""
        completion = await asyncio.to_thread(self.complete, request)
        if completion.text:
            yield Delta(completion.text)
        yield completion


class ScriptedChat(WholeChat):
    """Generates `said`, whatever it is asked."""

    name = "scripted"

    def __init__(self, said: str, *, abstained: bool = False) -> None:
        self._completion = Completion(text=said, abstained=abstained)
        self.requests: list[ChatRequest] = []

    @property
    def prompt(self) -> str:
        """What it was asked last."""
        return self.requests[-1].messages[-1].content

    def complete(self, request: ChatRequest) -> Completion:
        self.requests.append(request)
        return self._completion


class QuotingChat(ScriptedChat):
    """An extractive model, which must not be asked to write."""

    name = "quotes"
    generates = False

    def __init__(self) -> None:
        super().__init__("")

    def complete(self, request: ChatRequest) -> Completion:
        raise AssertionError("an extractive model was asked to write")
