"""A server whose answers wait for a file: `python -m … PORT FOLDER`.

It makes FOLDER/asked when a question has reached the model, and answers once FOLDER/let_go exists.
"""

import sys
import time
from pathlib import Path

from llm_engineering.api.server import run_server
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.domain.chat import ChatRequest, Completion
from tests.unit.serving import WaitingChat, indexed_app
from tools.serve import listen


class FileChat(WaitingChat):
    """Asked and let go by way of files."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def complete(self, request: ChatRequest) -> Completion:
        (self._folder / "asked").touch()
        while not (self._folder / "let_go").exists():
            time.sleep(0.01)
        self.let_go.set()
        return super().complete(request)


def main(port: str, folder: str) -> None:
    app = indexed_app(chat=FileChat(Path(folder)))
    with listen("127.0.0.1", int(port)) as listener:
        run_server(app, config=AnswerConfig(), listener=listener)


if __name__ == "__main__":
    main(*sys.argv[1:])
