"""Answer: let the chat model speak from what was prepared, or abstain, and check what it said.

`answer` asks for the whole answer, `stream_answer` for its pieces as they come.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from llm_engineering.application.rag.abstaining import abstains
from llm_engineering.application.rag.find import SearchPorts
from llm_engineering.application.rag.preparing import AnswerConfig, Prepared, prepare
from llm_engineering.application.rag.saying import pieces_of, said, saying_of
from llm_engineering.application.rag.standing import Upholding, upheld
from llm_engineering.domain.chat import (
    AS_CONFIGURED,
    Answer,
    Citation,
    Completion,
    Generation,
    Message,
)
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.ports.models import ChatModel, SparseEncoder


def answer(
    question: str,
    *,
    config: AnswerConfig,
    ports: SearchPorts,
    where: DocumentFilter = EVERYTHING,
    history: Sequence[Message] = (),
    generation: Generation = AS_CONFIGURED,
) -> Answer:
    """Answer with citations, or abstain in plain words. Raises as `find` and the model do."""
    prepared = prepare(
        question, config=config, ports=ports, where=where, history=history, generation=generation
    )
    asked = time.perf_counter()
    if prepared.request is None:
        return _answer(prepared, None, "", (), chat=ports.chat, asked=asked)
    completion = prepared.drafting.over(ports.chat).complete(prepared.request)
    text, citations = completion.text, completion.citations
    if ports.chat.generates:
        asked_with = prepared.request.messages
        text, citations = said(text, asked_with, prepared.passages, sparse=ports.sparse)
    whole = _answer(prepared, completion, text, citations, chat=ports.chat, asked=asked)
    return upheld(whole, prepared.request, by=config.upholding(ports), given=False)


async def stream_answer(
    prepared: Prepared,
    *,
    chat: ChatModel,
    sparse: SparseEncoder,
    upholding: Upholding,
    seen: bool = True,
) -> AsyncGenerator[str | Answer, None]:
    """The answer in pieces, its marks numbered as they come; the last item is the whole Answer,
    checked after its last word.

    Joined, the pieces are the answer's text, but for an abstention in a model's own words: these
    were said before it was clear what they are. Unless they are `seen`: then nothing needs to be
    taken back, and the Answer is as `answer` gives it. Closing the iterator ends the work. Raises
    what the chat model raises.
    """
    asked = time.perf_counter()
    chat = prepared.drafting.over(chat)
    completion: Completion | None = None
    saying = saying_of(prepared.request, chat=chat, sparse=sparse)
    held_back = seen and upholding.checked_first
    given: list[str] = []
    async with aclosing(pieces_of(prepared.request, chat=chat, saying=saying)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Completion):
                completion = piece
                continue
            given.append(piece)
            if not held_back:
                yield piece
    quoted = completion.citations if completion else ()
    citations = saying.citations if saying else quoted
    whole = _answer(prepared, completion, "".join(given), citations, chat=chat, asked=asked)
    shown = "" if held_back else "".join(given)
    if prepared.passages:
        # In a thread: it reads every passage, and may ask a model.
        whole = await asyncio.to_thread(
            upheld, whole, prepared.request, by=upholding, given=seen and bool(shown)
        )
    if whole.text.startswith(shown) and whole.text != shown:
        yield whole.text.removeprefix(shown)
    yield whole


def _answer(
    prepared: Prepared,
    completion: Completion | None,
    text: str,
    citations: tuple[Citation, ...],
    *,
    chat: ChatModel,
    asked: float,
) -> Answer:
    said = completion or Completion(text="", abstained=True)
    # Without evidence nobody asked whether it answers the question.
    judged = bool(prepared.passages) and not said.tool_calls
    abstained = said.abstained or (judged and abstains(text, cites=bool(citations)))
    done = time.perf_counter()
    return Answer(
        id=prepared.id,
        disclosure=prepared.disclosure,
        question=prepared.question,
        text=prepared.refusal if abstained else text,
        abstained=abstained,
        citations=() if abstained else citations,
        passages=prepared.passages,
        evidence=prepared.evidence,
        model=said.model or chat.name,
        finish_reason=said.finish_reason,
        tool_calls=said.tool_calls,
        timings_ms={
            **prepared.timings_ms,
            "answer": (done - asked) * 1e3,
            "total": (done - prepared.started) * 1e3,
        },
        usage=said.usage,
        steps=(*prepared.steps, *said.steps),
    )
