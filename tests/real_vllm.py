"""A home with versions of a tiny twin that a real vLLM serves, and looks into that server."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from llm_engineering.infrastructure.vllm_chat import VllmChat, vllm_chat
from llm_engineering.infrastructure.vllm_server import VllmServer
from tests.integration.small_models import (
    DISLIKED,
    LIKED,
    small_adapter,
    taught_adapter,
    taught_base,
)
from tests.unit.versions import manifest, result

ROOT = Path(__file__).parents[1]
RECITED = " and ".join([LIKED] * 24)
START_S = 300.0
"""On two cores that others use too; alone it takes half a minute."""
RECORDED = "models/bases/tiny"
"""The base, as manifests name it: below the home, as a nano's is."""


def executable() -> Path | None:
    """The `vllm` of TWIN_TEST_VLLM, or of `make vllm-env`."""
    named = os.environ.get("TWIN_TEST_VLLM")
    found = Path(named) if named else ROOT / ".venv-vllm" / "bin" / "vllm"
    return found if found.exists() else None


class RealHome:
    """`likes` and `dislikes` say one sentence each, `recites` one of them over and over;
    `rambles` says anything."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.registry = FolderModelRegistry(home / "models")
        self.base = taught_base(home / RECORDED, says=[LIKED, DISLIKED])
        made = home / "made"
        self.likes = self.add(taught_adapter(made / "likes", self.base, LIKED))
        self.dislikes = self.add(taught_adapter(made / "dislikes", self.base, DISLIKED))
        # How often it said a sentence it cannot count; it goes on where it should end.
        recited = taught_adapter(made / "recites", self.base, RECITED, loss=0.7)
        self.recites = self.add(recited)
        self.rambles = self.add(small_adapter(made / "rambles", self.base, strength=0.5))

    @classmethod
    def at(cls, home: Path) -> "RealHome":
        """That is there already, without its versions' names."""
        found = cls.__new__(cls)
        found.home, found.registry = home, FolderModelRegistry(home / "models")
        return found

    def add(self, adapter: Path) -> str:
        found = manifest(adapter, result(), base=RECORDED)
        self.registry.add(found, adapter=adapter)
        return found.version

    def promote(self, version: str) -> None:
        current = self.registry.production()
        instead_of = current.manifest.version if current else None
        self.registry.promote(version, reason="a test", instead_of=instead_of)

    def open(self, **options: Any) -> VllmChat:
        given: dict[str, Any] = {
            "command": str(executable()),
            "arguments": "--max-num-seqs 64",
            "max_model_len": 4_096,
            "timeout_s": 60.0,
            "start_timeout_s": START_S,
            "deaths": 3,
            "patient": True,
        }
        return vllm_chat(self.registry, home=self.home, **(given | options))


def server_of(chat: VllmChat) -> VllmServer:
    lane = chat._keeper.lanes.current
    assert lane is not None
    return lane.server


def metric(server: VllmServer, name: str, **labels: str) -> float:
    """The sum of its samples with these labels."""
    text = server._client.get("/metrics").text
    total = 0.0
    for line in text.splitlines():
        found = re.fullmatch(rf"vllm:{name}(?:{{(.*)}})? (\S+)", line)
        if found and all(f'{key}="{value}"' in found[1] for key, value in labels.items()):
            total += float(found[2])
    return total


def processes_of(server: VllmServer) -> dict[int, str]:
    """Command lines of the living processes of its group."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if fields[0] not in "ZX" and fields[2] == str(server._group):
            found[int(entry.name)] = command
    return found


def main(home: Path, version: str) -> None:
    """Serve `version` with n-gram speculation, say what it says and who does, and stay."""
    twin = RealHome.at(home)
    twin.promote(version)
    chat = twin.open(speculation="ngram")
    from tests.vllm_homes import request

    sys.stdout.write(chat.complete(request(max_tokens=40)).text + "\n")
    sys.stdout.write(" ".join(map(str, processes_of(server_of(chat)))) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
