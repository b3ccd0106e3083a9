"""A twin's home with versions to serve, and a `vllm` that stands in for the real one."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_engineering.domain.chat import ChatRequest, Completion, Delta, Message, Role
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from llm_engineering.infrastructure.served_models import Merge, ServedModels
from llm_engineering.infrastructure.vllm_chat import VllmChat
from llm_engineering.infrastructure.vllm_command import VllmOptions
from llm_engineering.infrastructure.vllm_patience import Patience
from tests import fake_vllm
from tests.unit.versions import adapter_folder, manifest, result
from tools.processes import identity

HURRY = Patience(
    start_s=20,
    deaths=3,
    quick_s=5,
    first_wait_s=0.1,
    look_s=0.02,
    promotion_s=0.05,
    linger_s=0.2,
)
CONTEXT = 2_048
UP_S = 30.0


@dataclass
class TwinHome:
    """Versions that weigh nothing over bases that are a config."""

    folder: Path
    merge: Merge | None = None
    opened: list[VllmChat] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def registry(self) -> FolderModelRegistry:
        return FolderModelRegistry(self.home / "models")

    @property
    def fake(self) -> Path:
        """What tells the stand-in what to do; see fake_vllm.py."""
        return self.folder / "fake"

    @property
    def executable(self) -> Path:
        return self.folder / "bin" / "vllm"

    @property
    def log(self) -> str:
        return (self.home / "logs" / "vllm.log").read_text("utf-8")

    def base(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"max_position_embeddings": CONTEXT}))
        return folder

    def version(self, number: int, *, base: str = "base", **config: Any) -> str:
        """Registered; `config` is that of its adapter."""
        adapter = adapter_folder(self.folder / f"adapter-{number}", seed=number)
        (adapter / "adapter_config.json").write_text(json.dumps({"r": 4, **config}))
        found = manifest(adapter, result(), minutes=number, base=str(self.base(base)))
        self.registry.add(found, adapter=adapter)
        return found.version

    def promote(self, version: str) -> str:
        current = self.registry.production()
        instead_of = current.manifest.version if current else None
        self.registry.promote(version, reason="a test", instead_of=instead_of)
        return version

    def tell(self, name: str, value: object = "") -> None:
        (self.fake / name).write_text(str(value))

    def told(self, name: str) -> list[dict[str, Any]]:
        try:
            lines = (self.fake / f"{name}.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def open(self, **options: Any) -> VllmChat:
        """A chat over a stand-in; closed by the fixture."""
        given = {"executable": self.executable, "max_model_len": 4_096, **options}
        chat = VllmChat(
            ServedModels(
                self.registry, home=self.home, folder=self.home / "serving", merge=self.merge
            ),
            VllmOptions(**given),
            log=self.home / "logs" / "vllm.log",
            timeout_s=UP_S,
            patient=True,
            patience=HURRY,
        )
        self.opened.append(chat)
        return chat


def twin_home(folder: Path) -> TwinHome:
    """Empty, with the stand-in in its place; FAKE_VLLM must name `fake`."""
    made = TwinHome(folder)
    made.fake.mkdir(parents=True)
    made.executable.parent.mkdir()
    made.executable.write_text(f'#!/bin/sh\nexec {sys.executable} {fake_vllm.__file__} "$@"\n')
    made.executable.chmod(0o755)
    return made


def request(text: str = "Who are you?", *, model: str = "", max_tokens: int = 64) -> ChatRequest:
    return ChatRequest(
        messages=(Message(role=Role.USER, content=text),),
        question=text,
        max_tokens=max_tokens,
        model=model,
    )


@contextmanager
def watched_home(folder: Path) -> Iterator[TwinHome]:
    """All that was started in it has ended afterwards."""
    made = twin_home(folder)
    yield made
    for chat in made.opened:
        chat.close()
    started = made.told("starts")
    assert [each for each in started if identity(each["pid"]) or identity(each["engine"])] == []


def said(chat: VllmChat, **asked: Any) -> str:
    return chat.complete(request(**asked)).text


def answers(chat: VllmChat, version: str) -> bool:
    """Whether it does, and as that version."""
    with suppress(BackendUnavailable):
        return set(said(chat).split()) == {version}
    return False


async def streamed(chat: VllmChat, asked: ChatRequest) -> tuple[list[str], Completion]:
    """The pieces and the whole."""
    pieces: list[str] = []
    async for piece in chat.stream(asked):
        match piece:
            case Delta(text):
                pieces.append(text)
            case Completion():
                return pieces, piece
    raise AssertionError("no completion")
