"""How what goes wrong on the server is told, and what the log keeps of it."""

import logging

import httpx
import pytest

from llm_engineering.api.problems import classify
from llm_engineering.domain import errors
from tests.unit.serving import (
    QUESTION,
    FailingChat,
    indexed_app,
    memory_app,
    problem,
    serving,
)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/rag", "/search"])
async def test_asking_an_empty_index_says_what_to_run(path: str) -> None:
    field = "question" if path == "/rag" else "query"
    async with serving(memory_app()) as client:
        body = problem(
            await client.post(path, json={field: QUESTION}), status=409, kind="index-empty"
        )

    assert "twin run end_to_end" in body["detail"]


@pytest.mark.anyio
async def test_an_unknown_path_is_a_problem(client: httpx.AsyncClient) -> None:
    body = problem(await client.get("/answers"), status=404)

    assert "'/answers'" in body["detail"]


@pytest.mark.anyio
async def test_a_wrong_method_is_told_the_right_one(client: httpx.AsyncClient) -> None:
    response = await client.get("/rag")

    assert "POST" in problem(response, status=405)["detail"]
    assert response.headers["allow"] == "POST"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.InvalidInput("the index has no vector 'x'"), 422, "invalid-input"),
        (errors.InvalidConfig("bad budget"), 422, "invalid-input"),
        (errors.NotFound("no document 'x'"), 404, "not-found"),
        (errors.IndexMismatch("made by 'a', read by 'b'"), 409, "index-mismatch"),
        (errors.BackendUnavailable("Qdrant at q:6333 is down"), 503, "backend-unavailable"),
        (errors.MissingExtra("openvino", extra="embed"), 500, "server-error"),
    ],
)
async def test_a_deliberate_error_is_told_in_its_own_words(
    error: errors.TwinError, status: int, kind: str
) -> None:
    async with serving(indexed_app(chat=FailingChat(error))) as client:
        response = await client.post("/rag", json={"question": QUESTION})

    assert problem(response, status=status, kind=kind)["detail"] == str(error)
    assert ("retry-after" in response.headers) == (status == 503)


def test_every_error_of_the_tree_has_a_status() -> None:
    def below(kind: type[errors.TwinError]) -> set[type[errors.TwinError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    for kind in below(errors.TwinError):
        status, name = classify(kind.__new__(kind))
        assert 400 <= status <= 503
        assert name


@pytest.mark.anyio
async def test_an_unexpected_error_is_in_the_log_and_not_in_the_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(indexed_app(chat=FailingChat(ZeroDivisionError("secret")))) as client:
        response = await client.post("/rag", json={"question": QUESTION})

    problem(response, status=500)
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert "ZeroDivisionError: secret" in caplog.text


@pytest.mark.anyio
async def test_requests_are_logged_with_their_id_and_without_their_bodies(
    caplog: pytest.LogCaptureFixture, client: httpx.AsyncClient
) -> None:
    from llm_engineering.api.middleware import RequestIdFilter

    caplog.handler.addFilter(RequestIdFilter())
    with caplog.at_level(logging.INFO, logger="llm_engineering"):
        response = await client.post("/rag?key=secret", json={"question": QUESTION})
        await client.get("/no%0Asuch")

    first, second = (r for r in caplog.records if r.name == "llm_engineering.api.access")
    assert first.__dict__["request_id"] == response.headers["x-request-id"]
    assert second.__dict__["request_id"] != response.headers["x-request-id"]
    assert '"POST /rag" 200' in first.getMessage()
    assert '"GET /no%0Asuch" 404' in second.getMessage()
    assert "secret" not in caplog.text
    assert QUESTION not in caplog.text
