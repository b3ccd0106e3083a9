"""Every error as one JSON problem (RFC 9457), whoever raised it."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from starlette.exceptions import HTTPException

from llm_engineering.api import openai_errors
from llm_engineering.api.grounds_schemas import Schema
from llm_engineering.api.work import Abandoned, Overloaded
from llm_engineering.domain.errors import (
    BackendUnavailable,
    Conflict,
    IndexEmpty,
    IndexMismatch,
    InvalidInput,
    NotFound,
    TwinError,
)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:llm-twin:problem:"
RETRY_AFTER_S = 1
CLIENT_GONE = 499
"""As nginx logs a client that left before its answer; nobody receives it."""
SHOWN = 5
"""Problems of one request body that are told; the rest are alike."""
SHOWN_CHARACTERS = 200
"""Of anything that came from the client."""

log = logging.getLogger(__name__)


class FieldProblem(Schema):
    """What is wrong with one place of the request body."""

    field: str
    """Such as `filters.kinds.0`; empty for the body as a whole."""
    message: str


class Problem(Schema):
    """What went wrong, to a reader and to a program."""

    type: str = "about:blank"
    """Names the kind of problem; `about:blank` when the status says it all."""
    title: str
    status: int
    detail: str
    instance: str
    """`urn:uuid:` and the request's id, which the log has too; `urn:llm-twin:request:` and the id
    where the caller chose one that is no UUID."""
    errors: tuple[FieldProblem, ...] = Field(default=())


def classify(error: TwinError) -> tuple[int, str]:
    """HTTP status and problem type of a deliberate error."""
    match error:
        case Overloaded():
            return 503, "overloaded"
        case BackendUnavailable():
            return 503, "backend-unavailable"
        case IndexEmpty():
            return 409, "index-empty"
        case IndexMismatch():
            return 409, "index-mismatch"
        case Conflict():
            return 409, "conflict"
        case NotFound():
            return 404, "not-found"
        case InvalidInput():
            return 422, "invalid-input"
        case _:  # the server is set up wrongly, e.g. MissingExtra
            return 500, "server-error"


def retry_after_s(error: TwinError) -> int:
    """When to ask again after a 503."""
    told = error.retry_after_s if isinstance(error, BackendUnavailable) else None
    return told or RETRY_AFTER_S


def problem_response(
    scope: Mapping[str, Any],
    status: int,
    detail: str,
    *,
    kind: str | None = None,
    errors: tuple[FieldProblem, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The problem as a response to the request of `scope`; `kind` is the last part of its type."""
    if scope["path"].startswith(openai_errors.PREFIX):
        return openai_errors.error_response(status, detail, code=kind, headers=headers)
    problem = Problem(
        type=TYPE_PREFIX + kind if kind else "about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=_instance(scope["request_id"]),
        errors=errors,
    )
    # Escaped to ASCII: a client's own broken characters, quoted back, must not break this.
    body = json.dumps(problem.model_dump(exclude=None if errors else {"errors"}))
    return Response(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def _instance(request_id: str) -> str:
    try:
        return f"urn:uuid:{UUID(request_id)}"
    except ValueError:
        return f"urn:llm-twin:request:{request_id}"


def install_problems(api: FastAPI) -> None:
    """Answer every error that a route, the router or the validation raises with a problem."""

    @api.exception_handler(TwinError)
    async def deliberate(request: Request, error: TwinError) -> Response:
        status, kind = classify(error)
        detail = str(error)
        if isinstance(error, IndexEmpty):
            detail = "nothing is indexed yet; run 'twin run end_to_end'"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("%s: %s", type(error).__name__, detail)
        headers = {"retry-after": str(retry_after_s(error))} if status == 503 else None
        return problem_response(request.scope, status, detail, kind=kind, headers=headers)

    @api.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return problem_response(
            request.scope,
            error.status_code,
            _http_detail(request, error),
            headers=error.headers,
        )

    @api.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return _invalid_body(request.scope, error)

    @api.exception_handler(Abandoned)
    async def abandoned(_request: Request, _error: Abandoned) -> Response:
        return Response(status_code=CLIENT_GONE)


def _http_detail(request: Request, error: HTTPException) -> str:
    path = request.url.path[:SHOWN_CHARACTERS]
    match error.status_code:
        case 404:
            return f"no {path!r} here; /docs lists what there is"
        case 405:
            allowed = (error.headers or {}).get("Allow", "another method")
            return f"{path} takes {allowed}, not {request.method[:SHOWN_CHARACTERS]}"
        case 400:  # FastAPI's wording for a body that is no Unicode, or nested too deep
            return "the body could not be read as JSON"
        case _:
            return str(error.detail)


def _invalid_body(scope: Mapping[str, Any], error: RequestValidationError) -> Response:
    problems = error.errors()
    if problems[0]["type"] == "json_invalid":
        position = problems[0]["loc"][-1]
        reason = problems[0]["ctx"]["error"]
        detail = f"the body is not JSON at character {position}: {reason}"
        return problem_response(scope, 400, detail, kind="malformed-json")
    errors = tuple(
        FieldProblem(
            field=".".join(str(part)[:SHOWN_CHARACTERS] for part in problem["loc"][1:]),
            message=problem["msg"],
        )
        for problem in problems[:SHOWN]
    )
    detail = "; ".join(f"{e.field or 'body'}: {e.message}" for e in errors)
    return problem_response(scope, 422, detail, kind="invalid-input", errors=errors)
