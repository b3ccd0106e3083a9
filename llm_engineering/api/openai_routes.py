"""OpenAI's API over the twin: chat completions, streamed or whole, and the list of models.

Retrieval is on; the header `x-twin-retrieval: off` leaves it out of one request.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from llm_engineering.api import openai_schemas as shapes
from llm_engineering.api.access import Needs
from llm_engineering.api.asking import Asked, Opened
from llm_engineering.api.event_stream import EventStream, client_gone
from llm_engineering.api.openai_replies import Reply, broken_off
from llm_engineering.api.problems import classify
from llm_engineering.api.routes import Service, Serving, json_body
from llm_engineering.api.work import unless_gone
from llm_engineering.domain.access import Scope
from llm_engineering.domain.chat import Answer, Role
from llm_engineering.domain.documents import EVERYTHING
from llm_engineering.domain.errors import InvalidInput, NotFound, TwinError
from llm_engineering.ports.models import ChatModel

log = logging.getLogger(__name__)

REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": shapes.ErrorResponse, "description": description}
    for status, description in (
        (400, "The body is not JSON, or asks for what the engine cannot do."),
        (401, "No key, or one that opens nothing."),
        (403, "The key is for something else."),
        (404, "There is no such model."),
        (408, "The body did not arrive in time."),
        (409, "Nothing is indexed yet, or by another embedder."),
        (413, "The body is longer than the server takes."),
        (415, "The content type is not JSON."),
        (422, "The body is JSON, but not what is asked for."),
        (429, "More than is allowed; `retry-after` says when."),
        (500, "Unexpected; the log has it under the request id."),
        (503, "Overloaded, or a backend does not answer."),
    )
}

v1 = APIRouter(
    prefix="/v1",
    tags=["openai"],
    dependencies=[Depends(Needs(Scope.ASK))],
    responses=REFUSALS,
)

Retrieval = Annotated[
    str | None,
    Header(alias="x-twin-retrieval", description="`off`: answer without the author's writing."),
]


@v1.get("/models", summary="Versions of the twin")
async def models(service: Serving) -> shapes.Models:
    """`twin` is whichever version is in production; the others are named."""
    names = await _models(service)
    return shapes.Models(
        data=tuple(
            shapes.Model(id=name, created=service.since)
            for name in dict.fromkeys((shapes.TWIN, *names))
        )
    )


@v1.get("/models/{name:path}", summary="One version of the twin")
async def model(name: str, service: Serving) -> shapes.Model:
    """404 when there is none of that name."""
    await _known(name, service)
    return shapes.Model(id=name, created=service.since)


@v1.post(
    "/chat/completions",
    summary="Answer a conversation",
    dependencies=[Depends(json_body)],
    response_model=shapes.ChatResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def chat_completions(
    body: shapes.ChatRequest, request: Request, service: Serving, x_twin_retrieval: Retrieval = None
) -> Response:
    """The last message is answered from the author's own writing, with citations.

    Streamed, each event is a `chat.completion.chunk`; the one with the `finish_reason` has the
    `citations`. An answer that breaks off ends with an event that holds an `error`.
    """
    asked = await _asked(body, service, retrieval=x_twin_retrieval)
    reply = Reply(counts=body.stream_options is not None and body.stream_options.include_usage)
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(service.answering.answering(asked, request))
        if body.stream:
            # The answer goes on after this function has returned, and ends with its events.
            return EventStream(_events(reply, opened, stack.pop_all()))
        answer = await unless_gone(opened.whole(), gone=partial(client_gone, request.receive))
    return Response(reply.whole(opened, answer).model_dump_json(), media_type="application/json")


async def _events(
    reply: Reply, opened: Opened, stack: AsyncExitStack
) -> AsyncGenerator[bytes, None]:
    """The answer as events; whatever goes wrong is one as well, and the last."""
    async with stack:
        try:
            yield reply.begins(opened)
            async for piece in opened:
                if isinstance(piece, Answer):
                    for last in reply.ends(opened, piece):
                        yield last
                else:
                    yield reply.says(piece)
        except TwinError as error:
            status, kind = classify(error)
            log.warning("answer broken off: %s: %s", type(error).__name__, error)
            yield broken_off(status, str(error), kind=kind)
        except Exception:
            log.exception("answer broken off")
            detail = "unexpected error; the server's log has it under this request id"
            yield broken_off(500, detail, kind="server-error")


async def _asked(body: shapes.ChatRequest, service: Serving, *, retrieval: str | None) -> Asked:
    """Raises InvalidInput for what the engine cannot do, NotFound for a model it has not."""
    if retrieval not in (None, "on", "off"):
        raise InvalidInput(f"the header x-twin-retrieval is {retrieval[:40]!r}; send on or off")
    generation = body.generation()
    if (tokens := generation.max_tokens or 0) > service.max_answer_tokens:
        raise InvalidInput(
            f"{tokens} tokens are asked for, and an answer has {service.max_answer_tokens} at "
            "most; ask for fewer"
        )
    await _known(body.model, service)
    chat = await _chat(service)
    if body.tools and not chat.capabilities.tools:
        raise InvalidInput(
            f"'tools' are asked for, and the engine {chat.name!r} calls none; leave them out, or "
            "serve with one that does and set TWIN_CHAT__TOOLS=true"
        )
    if retrieval == "off" and not chat.generates:
        raise InvalidInput(
            f"{chat.name!r} only quotes, and without retrieval there is nothing to quote; send no "
            "'x-twin-retrieval: off', or set TWIN_CHAT__KIND"
        )
    if body.conversation and (body.tools or retrieval == "off"):
        raise InvalidInput(
            "a 'conversation' is answered from the author's writing; send neither 'tools' nor "
            "'x-twin-retrieval: off' with it"
        )
    messages = tuple(message.message() for message in body.messages)
    # What a tool returned is answered from the conversation: it is no question.
    on = retrieval != "off" and messages[-1].role is Role.USER
    return Asked(
        question=messages[-1].content,
        where=EVERYTHING,
        history=messages[:-1] if on else messages,
        generation=generation,
        retrieval=on,
        conversation=body.conversation or "",
        streamed=bool(body.stream),
    )


async def _known(name: str, service: Serving) -> None:
    """Raises NotFound for a name that is none of the models'."""
    if name == shapes.TWIN:
        return
    names = await _models(service)
    if name not in names:
        listed = ", ".join(repr(each) for each in (shapes.TWIN, *names[:5]))
        raise NotFound(f"no model {name[:80]!r} but {listed}")


async def _models(service: Serving) -> tuple[str, ...]:
    chat = await _chat(service)
    if not chat.capabilities.adapters:
        return chat.models()
    return await service.pool.call(chat.models)  # an engine elsewhere has to be asked


async def _chat(service: Service) -> ChatModel:
    """Opened in a thread: while models load, nobody gets at one, and that takes a while."""
    opened = service.ports.opened_chat()
    return opened if opened is not None else await service.pool.call(lambda: service.ports.chat)
