"""Chat models for tests that say what they are told to, and remember what they were asked."""

from llm_engineering.domain.chat import ChatRequest, Completion


class ScriptedChat:
    """Generates `said`, whatever it is asked."""

    name = "scripted"
    generates = True

    def __init__(self, said: str, *, abstained: bool = False) -> None:
        self._completion = Completion(text=said, abstained=abstained)
        self.requests: list[ChatRequest] = []

    @property
    def prompt(self) -> str:
        """What it was asked last."""
        return self.requests[-1].messages[-1].content

    def count_tokens(self, text: str) -> int:
        return len(text.split())

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
