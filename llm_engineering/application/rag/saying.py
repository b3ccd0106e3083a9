"""What a model says as it is given on: safe to show, and its marks numbered."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from llm_engineering.application.rag.citing import CitingText
from llm_engineering.application.rag.outbound import OutboundText, addresses
from llm_engineering.domain.chat import ChatRequest, Citation, Completion, Message, Passage
from llm_engineering.ports.models import ChatModel, SparseEncoder


class SaidText:
    """A model's text that arrives in pieces, each given on as soon as no more text can change it.

    However it is cut, the pieces together and the citations are the same.
    """

    def __init__(
        self, prompt: Sequence[Message], passages: Sequence[Passage], *, sparse: SparseEncoder
    ) -> None:
        """`prompt` is what the model was given, `passages` what its marks point at; without any
        they are text like other text."""
        self._outbound = OutboundText(addresses(prompt))
        self._citing = CitingText(passages, sparse=sparse) if passages else None

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Of the marks so far; a mark's number is the place in here."""
        return self._citing.citations if self._citing else ()

    def feed(self, text: str) -> str:
        """The next piece to show; '' when that depends on what follows."""
        safe = self._outbound.feed(text)
        return self._citing.feed(safe) if self._citing else safe

    def end(self) -> str:
        """What was still held back; nothing follows."""
        safe = self._outbound.end()
        return self._citing.feed(safe) + self._citing.end() if self._citing else safe


def said(
    text: str, prompt: Sequence[Message], passages: Sequence[Passage], *, sparse: SparseEncoder
) -> tuple[str, tuple[Citation, ...]]:
    """The whole text as `SaidText` gives it on, and its citations."""
    saying = SaidText(prompt, passages, sparse=sparse)
    return saying.feed(text) + saying.end(), saying.citations


def saying_of(
    request: ChatRequest | None, *, chat: ChatModel, sparse: SparseEncoder
) -> SaidText | None:
    """None where nobody is asked, and for a model that quotes: its words are the author's."""
    if request is None or not chat.generates:
        return None
    return SaidText(request.messages, request.passages, sparse=sparse)


async def pieces_of(
    request: ChatRequest | None, *, chat: ChatModel, saying: SaidText | None
) -> AsyncGenerator[str | Completion, None]:
    """What the model says, as it is given on; no piece is empty. The Completion is one item.

    Nothing where nobody is asked. Raises what the model raises.
    """
    if request is None:
        return
    async with aclosing(chat.stream(request)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Completion):
                yield piece
            elif shown := saying.feed(piece.text) if saying else piece.text:
                yield shown
    if rest := saying.end() if saying else "":
        yield rest
