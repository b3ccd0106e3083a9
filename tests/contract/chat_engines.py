"""Every engine behind the `ChatModel` port, ready to be asked, watched and broken."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from llm_engineering.domain.chat import (
    Capabilities,
    ChatRequest,
    Message,
    Passage,
    Role,
    Sampling,
    Sentence,
)
from llm_engineering.domain.documents import DocumentKind, DocumentRef
from llm_engineering.infrastructure.aws import Aws
from llm_engineering.infrastructure.bm25 import Bm25Encoder
from llm_engineering.infrastructure.decoding.local_base import LocalBase
from llm_engineering.infrastructure.hash_embedder import HashEmbedder
from llm_engineering.infrastructure.openai_chat import OpenAiChat
from llm_engineering.infrastructure.quotes_chat import QuotesChat
from llm_engineering.infrastructure.sagemaker_chat import SageMakerChat
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from llm_engineering.infrastructure.transformers_chat import TransformersChat
from llm_engineering.ports.models import ChatModel
from tests.contract.speaking_server import ENDPOINT, speaking_server
from tests.twin_homes import TwinHome

ENGINES = ("quotes", "scripted", "openai", "transformers", "sagemaker")
GENERATING = ENGINES[1:]

WORDS = [
    "the",
    "sea",
    "is",
    "wide,",
    "blue",
    "–",
    "and",
    "calm;",
    "tea",
    "“never”",
    "boils…",
    "naïve",
    "café",
    "№",
    "7",
    "today",
]
STEP_S = 0.02
"""How long the slow engines take for a token: nothing of theirs ends by itself while it is
watched."""
REGION = "us-east-1"


@dataclass(frozen=True)
class Engine:
    """An engine, and what only its test knows of it."""

    chat: ChatModel
    running: Callable[[], int]
    """Answers that are being made, as whatever makes them knows."""
    broken: Callable[[], AbstractContextManager[None]]
    """Within it, every answer breaks off after its first tokens."""
    slow: Callable[[], AbstractContextManager[None]]
    """Within it, a token takes STEP_S at least."""
    loop: asyncio.Runner
    """An engine serves one event loop."""


def asked(number: int, *, max_tokens: int = 24, model: str = "", **sampling: Any) -> ChatRequest:
    """A question that has an answer of its own; at temperature 0 unless something else is said."""
    question = f"write something about day {number}"
    text = f"I write something about day {number} in my notes."
    document = DocumentRef(
        id=f"note-{number}",
        author_id="ada",
        author="Ada",
        url=f"https://ada.example/{number}",
        title="Days",
        kind=DocumentKind.NOTE,
        source="files:notes",
    )
    passage = Passage(
        document=document,
        start=0,
        end=len(text),
        text=text,
        sentences=(Sentence(start=0, end=len(text)),),
        tokens=9,
        score=1.0,
    )
    return ChatRequest(
        messages=(
            Message(role=Role.SYSTEM, content="You are a twin."),
            Message(role=Role.USER, content=question),
        ),
        question=question,
        passages=(passage,),
        max_tokens=max_tokens,
        model=model,
        sampling=Sampling(**{"temperature": 0, **sampling}),
    )


def words_of(request: ChatRequest) -> str:
    """What the scripted model says: words that follow from the question and, as long as they are
    drawn, the seed."""
    drawn = request.sampling.temperature != 0
    draw = random.Random(f"{request.question} {request.sampling.seed if drawn else 0}")
    return " ".join(draw.choices(WORDS, k=400))


@contextmanager
def engine_of(kind: str, folder: Path) -> Iterator[Engine]:
    """Needs credentials for the AWS of the tests in the environment."""
    with asyncio.Runner() as loop:
        match kind:
            case "quotes":
                yield _quotes(loop)
            case "scripted":
                script = ScriptedChat(words_of)
                yield _scripted(script, script, loop)
            case "openai":
                with speaking_server(ScriptedChat(words_of, named=("ada",))) as server:
                    opened = openai_chat(f"{server.url}/v1")
                    yield _scripted(server.chat, opened, loop)
                    loop.run(opened.aclose())
                    opened.close()
            case "sagemaker":
                with speaking_server(ScriptedChat(words_of, named=("ada",))) as server:
                    yield _scripted(server.chat, sagemaker_chat(server.url), loop)
            case _:
                yield from _transformers(folder, loop)


def openai_chat(base_url: str) -> OpenAiChat:
    return OpenAiChat(
        base_url, model="ada", api_key=None, timeout_s=10, capabilities=Capabilities(seed=True)
    )


def sagemaker_chat(
    url: str, *, timeout_s: float = 10, component: str | None = None
) -> SageMakerChat:
    return SageMakerChat(
        Aws(REGION, url),
        endpoint=ENDPOINT,
        component=component,
        model="ada",
        timeout_s=timeout_s,
        capabilities=Capabilities(seed=True),
    )


def _quotes(loop: asyncio.Runner) -> Engine:
    @contextmanager
    def unbreakable() -> Iterator[None]:
        raise AssertionError("what quotes does not generate does not break off")
        yield

    chat = QuotesChat(embedder=HashEmbedder(dimension=256), sparse=Bm25Encoder())
    return Engine(chat, running=lambda: 0, broken=unbreakable, slow=unbreakable, loop=loop)


def _scripted(script: ScriptedChat, chat: ChatModel, loop: asyncio.Runner) -> Engine:
    """An engine that says what `script` says, or is it."""

    @contextmanager
    def broken() -> Iterator[None]:
        with patch.object(script, "fails_after", 3):
            yield

    @contextmanager
    def slow() -> Iterator[None]:
        with patch.object(script, "tokens_per_s", 1 / STEP_S):
            yield

    return Engine(chat, running=lambda: script.running, broken=broken, slow=slow, loop=loop)


def _transformers(folder: Path, loop: asyncio.Runner) -> Iterator[Engine]:
    """In f32: an answer is then the same whoever shares its pass."""
    plain = LocalBase.logits

    @contextmanager
    def broken() -> Iterator[None]:
        def failing(base: LocalBase, ids: Any, positions: Any, **given: Any) -> Any:
            if ids.shape[1] == 1 and int(positions.max()) > beginning:
                raise RuntimeError("the device is gone")
            return plain(base, ids, positions, **given)

        beginning = len(chat._versions.open().base.prompt(asked(1).messages)) + 3
        with patch.object(LocalBase, "logits", failing):
            yield

    @contextmanager
    def slow() -> Iterator[None]:
        def sleeping(base: LocalBase, *given: Any, **more: Any) -> Any:
            time.sleep(STEP_S)
            return plain(base, *given, **more)

        with patch.object(LocalBase, "logits", sleeping):
            yield

    with patch("torch.cpu.get_capabilities", dict):
        home = TwinHome(folder)
        home.promote(home.add(1))
        chat = TransformersChat(home.models, home=home.folder, device="cpu")
        yield Engine(chat, running=lambda: chat.running, broken=broken, slow=slow, loop=loop)
        chat.close()
