"""`create_app`: the whole API around one App."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from llm_engineering.api.access import AccessTable
from llm_engineering.api.asking import Answering
from llm_engineering.api.conversation_routes import conversing
from llm_engineering.api.docs_page import ASSETS, documenting
from llm_engineering.api.documents import reading
from llm_engineering.api.feedback_routes import rating
from llm_engineering.api.gate import Gate
from llm_engineering.api.keyring import Keyring
from llm_engineering.api.mcp import mcp_of
from llm_engineering.api.metrics import Metrics
from llm_engineering.api.middleware import RequestMiddleware
from llm_engineering.api.openai_routes import v1
from llm_engineering.api.page_routes import paging
from llm_engineering.api.problems import MEDIA_TYPE, install_problems
from llm_engineering.api.readiness import Readiness, check_parts
from llm_engineering.api.response_headers import cross_origin
from llm_engineering.api.routes import Service, asking, operating, probing
from llm_engineering.api.served import ServedAnswers
from llm_engineering.api.shared_ports import SharedPorts
from llm_engineering.api.watching import Watcher
from llm_engineering.api.work import WorkPool
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import App

DESCRIPTION = """\
Answers from one person's writing, in that person's own words, each with citations that can be
checked to the character.

Once there are keys (`twin keys create`), requests carry one: `authorization: Bearer twin-…`.
Every error is a JSON problem (RFC 9457), below /v1 one of OpenAI's form, and every response carries
an `x-request-id` that the server's log has too."""
TAGS = [
    {"name": "ask", "description": "Questions and searches."},
    {"name": "openai", "description": "OpenAI's API, for its clients."},
    {"name": "conversations", "description": "Those that a reader asked to have kept."},
    {"name": "feedback", "description": "What answers were worth."},
    {"name": "operate", "description": "For load balancers and people on call."},
]

ROUTERS = (asking, reading, v1, rating, conversing, operating, probing, documenting, paging)


def service_of(app: App, *, config: AnswerConfig) -> Service:
    """What endpoints share, over `app`, answering as `config` says; nothing is loaded yet."""
    ports = SharedPorts(app)
    limits = app.settings.api
    # An answer that may be under way finds a place in the line for its search.
    pool = WorkPool(workers=limits.workers, waiting=limits.answers)
    longest = min(config.max_tokens, limits.max_answer_tokens)
    config = config.model_copy(update={"max_tokens": longest})
    metrics = Metrics(version=version("llm-twin"), tally=app.tracer.tally)
    watcher = Watcher(metrics, app.tracer)
    served = ServedAnswers()
    return Service(
        version=version("llm-twin"),
        config=config,
        ports=ports,
        pool=pool,
        answering=Answering(
            ports,
            pool,
            config,
            at_once=limits.answers,
            within_s=limits.answer_timeout_s,
            watcher=watcher,
            served=served,
        ),
        readiness=Readiness(partial(check_parts, ports)),
        keyring=Keyring(lambda: app.keys),
        metrics=metrics,
        served=served,
        since=int(time.time()),
        max_answer_tokens=limits.max_answer_tokens,
    )


def create_app(app: App, *, config: AnswerConfig, mcp_alone: bool = False) -> FastAPI:
    """The API over `app`, answering as `config` says; `mcp_alone` leaves out all but MCP and what
    load balancers ask.

    Nothing is loaded before the server starts; then models and index are warmed beside the
    first requests. `app` stays open: closing it is the caller's, after the server ended. Raises
    MissingExtra where MCP is wanted and its package is not there.
    """
    limits = app.settings.api
    service = service_of(app, config=config)
    mcp = mcp_of(service, limits) if mcp_alone or limits.mcp else None
    routers = (*((probing,) if mcp_alone else ROUTERS), *((mcp.router,) if mcp else ()))
    # The plain FastAPI class draws its docs page from a CDN; this one carries the files.
    api = FastAPIOffline(
        title="LLM Twin",
        version=service.version,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        static_url=ASSETS,
        lifespan=_lifespan,
    )
    api.state.service = service
    api.state.mcp = mcp
    table = AccessTable(routers, open_routes=api.routes)
    for router in routers:
        api.include_router(router)
    install_problems(api)
    # The last one added is outermost.
    api.add_middleware(
        Gate, table=table, keyring=service.keyring, audit=lambda: app.audit, settings=limits
    )
    if limits.origins:
        api.add_middleware(CORSMiddleware, **cross_origin(limits.origins))
    api.add_middleware(
        RequestMiddleware, max_body_bytes=limits.max_body_bytes, metrics=service.metrics
    )
    _describe_problems(api)
    return api


@asynccontextmanager
async def _lifespan(api: FastAPI) -> AsyncIterator[None]:
    service: Service = api.state.service
    service.readiness.start()
    async with api.state.mcp.running() if api.state.mcp else nullcontext():
        yield
    await release(service)


async def release(service: Service) -> None:
    """Give back what was opened for the event loop that ends."""
    if (aclose := getattr(service.ports.opened_chat(), "aclose", None)) is not None:
        await aclose()  # connections belong to this event loop
    service.readiness.close()
    service.pool.close()
    service.keyring.close()


def _describe_problems(api: FastAPI) -> None:
    """Give the documented errors the media type that they are sent with.

    FastAPI documents every model as `application/json`.
    """
    described = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            for operation in _operations(described()):
                for response in operation["responses"].values():
                    content = response.get("content", {})
                    schema = content.get("application/json", {}).get("schema", {})
                    if schema.get("$ref", "").endswith("/Problem"):
                        content[MEDIA_TYPE] = content.pop("application/json")
        return described()

    # The documented way to extend the schema is to replace this method.
    api.openapi = openapi  # type: ignore[method-assign]


def _operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in schema["paths"].values() for operation in path.values()]
