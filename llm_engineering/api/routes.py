"""The endpoints: each hands one use case to the worker threads and shapes what comes back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from llm_engineering.api import schemas, search_schemas
from llm_engineering.api.access import Needs, anyone
from llm_engineering.api.asking import Answering, Asked
from llm_engineering.api.event_stream import client_gone
from llm_engineering.api.keyring import Keyring
from llm_engineering.api.metrics import Metrics
from llm_engineering.api.problems import Problem
from llm_engineering.api.readiness import LOADING, Readiness
from llm_engineering.api.served import ServedAnswers
from llm_engineering.api.shared_ports import SharedPorts
from llm_engineering.api.work import WorkPool, unless_gone
from llm_engineering.application.rag.find import find
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.domain.access import Scope
from llm_engineering.domain.chat import AS_CONFIGURED

T = TypeVar("T")
PROBED_EVERY_S = 1.0
"""How often strangers may have every part tried."""


@dataclass(frozen=True)
class Service:
    """What the endpoints share."""

    version: str
    config: AnswerConfig
    ports: SharedPorts
    pool: WorkPool
    answering: Answering
    readiness: Readiness
    keyring: Keyring
    metrics: Metrics
    served: ServedAnswers
    since: int
    """When it started, in seconds since 1970."""
    max_answer_tokens: int
    """Longest answer that may be asked for."""


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def json_body(request: Request) -> None:
    """Refuse what does not call itself JSON, so that no web page's plain form can ask."""
    given = request.headers.get("content-type", "")
    essence = given.partition(";")[0].strip().lower()
    if essence != "application/json" and not (
        essence.startswith("application/") and essence.endswith("+json")
    ):
        raise HTTPException(415, "send the body with 'content-type: application/json'")


Serving = Annotated[Service, Depends(_service)]

REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is not JSON."},
    401: {"model": Problem, "description": "No key, or one that opens nothing."},
    403: {"model": Problem, "description": "The key is for something else."},
    408: {"model": Problem, "description": "The body did not arrive in time."},
    409: {"model": Problem, "description": "Nothing is indexed yet, or by another embedder."},
    413: {"model": Problem, "description": "The body is longer than the server takes."},
    415: {"model": Problem, "description": "The content type is not JSON."},
    422: {"model": Problem, "description": "The body is JSON, but not what is asked for."},
    429: {"model": Problem, "description": "More than is allowed; `retry-after` says when."},
    500: {"model": Problem, "description": "Unexpected; the log has it under the request id."},
    503: {"model": Problem, "description": "Overloaded, or a backend does not answer."},
}

asking = APIRouter(
    tags=["ask"],
    dependencies=[Depends(Needs(Scope.ASK)), Depends(json_body)],
    responses=REFUSALS,
)
operating = APIRouter(tags=["operate"], dependencies=[Depends(Needs(Scope.ADMIN, here=True))])
probing = APIRouter(tags=["operate"], dependencies=[Depends(anyone)])


@asking.post(
    "/rag",
    summary="Answer a question with citations",
    responses={404: {"model": Problem, "description": "No such conversation of yours."}},
)
async def rag(body: schemas.RagRequest, request: Request, service: Serving) -> schemas.RagResponse:
    """Answer from the author's own writing, every claim cited to the character.

    When the evidence is weak, `abstained` is true and `answer` says so in plain words.
    """

    asked = Asked(
        question=body.question,
        where=body.filters.where(),
        history=tuple(turn.message() for turn in body.history),
        generation=AS_CONFIGURED,
        conversation=body.conversation or "",
    )
    async with service.answering.answering(asked, request) as opened:
        answered = await unless_gone(opened.whole(), gone=partial(client_gone, request.receive))
    return schemas.RagResponse.of(
        answered,
        index_version=opened.ready.index_version,
        timings_ms=opened.total_ms(answered),
    )


@asking.post("/search", summary="Rank passages by a query")
async def search_passages(
    body: search_schemas.SearchRequest, request: Request, service: Serving
) -> search_schemas.SearchResponse:
    """The passages that answers would be made from, with the place each ranking gave them."""

    def job() -> Callable[[dict[str, float]], search_schemas.SearchResponse]:
        ports = service.ports
        version = ports.index.version()
        findings = find(
            body.query,
            retrieval=service.config.retrieval,
            stages=service.config.stages,
            ports=ports.search_ports,
            where=body.filters.where(),
            limit=body.limit,
        )
        return lambda timings: search_schemas.SearchResponse.of(
            findings, index_version=version, timings_ms=timings
        )

    response = await _timed(job, request=request, service=service)
    stages = {**response.timings_ms}
    del stages["total"]
    service.metrics.searched(stages, waited_ms=stages.pop("wait"))
    service.metrics.versions.index = response.index_version
    return response


@probing.get("/health", summary="Is the process alive?")
async def health(service: Serving) -> schemas.Health:
    """200 as long as the process answers at all; says nothing of models or data."""
    return schemas.Health(version=service.version)


@probing.get(
    "/ready",
    summary="Can questions be answered?",
    responses={503: {"model": schemas.Ready, "description": "Not yet; `parts` says why."}},
)
async def ready(request: Request, service: Serving, response: Response) -> schemas.Ready:
    """200 when the model is loaded, the index is published and opens with this embedder, and the
    document store answers. It turns green by itself after a pipeline published an index.

    Anybody is told whether; only this machine and admins are told why not, and the very latest.
    """
    trusted = request.scope["caller"].trusted
    parts = await service.readiness.parts(fresh_s=0 if trusted else PROBED_EVERY_S)
    if not trusted and parts is not LOADING:
        parts = tuple(part.model_copy(update={"detail": "told to admins"}) for part in parts)
    state = schemas.Ready(ready=all(part.ready for part in parts), parts=parts)
    if not state.ready:
        response.status_code = 503
        response.headers["retry-after"] = str(max(part.retry_after_s for part in parts))
    return state


@operating.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}, "application/openmetrics-text": {}}}},
)
async def metrics(request: Request, service: Serving) -> Response:
    """As text, or as OpenMetrics where the `accept` header asks for it. Asks no backend."""
    body, content_type = service.metrics.exposition(request.headers.get("accept", ""))
    return Response(body, headers={"content-type": content_type})


async def _timed(
    job: Callable[[], Callable[[dict[str, float]], T]], *, request: Request, service: Service
) -> T:
    """Run `job` in the pool; what it returns is called with the time in line and the total."""
    asked = time.perf_counter()
    begun = asked

    def timed_job() -> Callable[[dict[str, float]], T]:
        nonlocal begun
        begun = time.perf_counter()
        return job()

    respond = await service.pool.run(timed_job, gone=partial(client_gone, request.receive))
    ended = time.perf_counter()
    return respond({"wait": (begun - asked) * 1000, "total": (ended - asked) * 1000})
