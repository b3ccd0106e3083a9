"""Errors below /v1 in OpenAI's form, which its clients turn into their exceptions."""

from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

from llm_engineering.api.openai_schemas import ErrorBody, ErrorResponse

PREFIX = "/v1/"
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def error_body(status: int, message: str, *, code: str | None = None) -> ErrorResponse:
    """`code` names the kind of problem, as the last part of a problem's type does elsewhere."""
    kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
    return ErrorResponse(
        error=ErrorBody(message=message, type=kind, code=code.replace("-", "_") if code else None)
    )


def error_response(
    status: int, message: str, *, code: str | None, headers: Mapping[str, str] | None
) -> Response:
    body = error_body(status, message, code=code).model_dump()
    return JSONResponse(body, status, headers=dict(headers or {}))
