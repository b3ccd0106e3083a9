"""Who may come in: the matrix of routes, keys and scopes, and what a refusal says."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends

from llm_engineering.api.access import AccessTable, Needs, anyone
from llm_engineering.api.app import ROUTERS, create_app
from llm_engineering.application.keys import revoke_key
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import App
from llm_engineering.domain.access import Scope
from tests.unit.serving import QUESTION, bearing, indexed_app, make_key, problem, serving

pytestmark = pytest.mark.anyio

CHAT = {"model": "twin", "messages": [{"role": "user", "content": QUESTION}]}
ASK: list[tuple[str, str, Any]] = [
    ("POST", "/rag", {"question": QUESTION}),
    ("POST", "/search", {"query": QUESTION}),
    ("POST", "/v1/chat/completions", CHAT),
    ("GET", "/v1/models", None),
    ("GET", "/v1/models/twin", None),
]
OPEN = ("/health", "/ready", "/", "/docs", "/openapi.json", "/docs-assets/swagger-ui.css")


async def send(
    client: httpx.AsyncClient, method: str, path: str, body: Any, **headers: str
) -> httpx.Response:
    return await client.request(method, path, json=body, headers=headers)


def test_every_route_says_whom_it_is_for() -> None:
    declared = {Needs, type(anyone)}
    routes = [route for router in ROUTERS for route in router.routes]

    assert len(routes) >= 8
    for route in routes:
        marks = [each.dependency for each in route.dependencies]  # type: ignore[attr-defined]
        assert [m for m in marks if m is anyone or type(m) is Needs], (route, declared)


def test_a_route_that_says_nothing_is_for_admins_and_the_nearest_word_counts() -> None:
    router = APIRouter(dependencies=[Depends(Needs(Scope.ASK))])
    bare = APIRouter()

    @router.get("/thing")
    @router.post("/thing", dependencies=[Depends(Needs(Scope.FEEDBACK))])
    @router.get("/open", dependencies=[Depends(anyone)])
    @bare.get("/bare")
    async def thing() -> None: ...

    table = AccessTable([router, bare], open_routes=[])

    def scope(method: str, path: str) -> Scope | None:
        return table.rule({"method": method, "path": path}).scope

    assert scope("GET", "/thing") is Scope.ASK
    assert scope("POST", "/thing") is Scope.FEEDBACK
    assert scope("DELETE", "/thing") is not None
    assert scope("GET", "/bare") is Scope.ADMIN
    assert table.rule({"method": "GET", "path": "/open"}).anyone
    assert not table.rule({"method": "GET", "path": "/nowhere"}).anyone


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "lower-case"])
async def test_a_key_opens_what_it_is_for_in_either_header(header: str) -> None:
    app = indexed_app()
    key = make_key(app)
    headers = {
        "authorization": {"authorization": f"Bearer {key}"},
        "x-api-key": {"x-api-key": key},
        "lower-case": {"authorization": f"bearer  {key}"},
    }[header]
    async with serving(app, address="203.0.113.9", host="twin.example") as client:
        for method, path, body in ASK:
            assert (await send(client, method, path, body, **headers)).status_code == 200, path


@pytest.mark.parametrize("address", ["127.0.0.1", "203.0.113.9"])
async def test_once_there_is_a_key_nobody_comes_in_without_one(address: str) -> None:
    app = indexed_app()
    make_key(app)
    async with serving(app, address=address) as client:
        for method, path, body in [*ASK, ("GET", "/nowhere", None), ("DELETE", "/rag", None)]:
            response = await send(client, method, path, body)
            assert response.status_code == 401, path
            assert response.headers["www-authenticate"] == 'Bearer realm="twin"'
        for path in OPEN:
            assert (await client.get(path)).status_code in (200, 307, 503), path


def unknown(_app: App) -> str:
    return "twin-" + "x" * 43


def revoked(app: App) -> str:
    key = make_key(app, "revoked")
    revoke_key("revoked", store=app.keys, audit=app.audit, now=datetime.now(UTC))
    return key


def expired(app: App) -> str:
    then = datetime.now(UTC) - timedelta(days=2)
    return make_key(app, "expired", now=then, lasts=timedelta(days=1))


def cut(app: App) -> str:
    return make_key(app, "cut")[:-1]


@pytest.mark.parametrize("wrong", [unknown, revoked, expired, cut], ids=lambda f: f.__name__)
@pytest.mark.parametrize("path", ["/rag", "/v1/chat/completions"])
async def test_wrong_keys_are_refused_with_the_same_words(path: str, wrong: Any) -> None:
    app = indexed_app()
    make_key(app)
    async with serving(app) as client:
        response = await client.post(path, json={}, headers=bearing(wrong(app)))

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="twin", error="invalid_token"'
    detail = (
        "this key opens nothing; it may be revoked or expired. 'twin keys create NAME' makes a key"
    )
    if path == "/rag":
        assert problem(response, status=401, kind="invalid-api-key")["detail"] == detail
    else:
        error = response.json()["error"]
        assert error["message"] == detail
        assert (error["type"], error["code"]) == ("authentication_error", "invalid_api_key")


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Basic dHdpbjp0d2lu"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer  "},
        {"authorization": "twin"},
        {"x-api-key": ""},
    ],
)
async def test_what_is_no_key_counts_as_none(headers: dict[str, str]) -> None:
    app = indexed_app()
    make_key(app)
    async with serving(app) as client:
        response = await client.post("/rag", json={"question": QUESTION}, headers=headers)

    assert response.headers["www-authenticate"] == 'Bearer realm="twin"'
    assert (
        "send 'authorization: Bearer'"
        in problem(response, status=401, kind="invalid-api-key")["detail"]
    )


async def test_a_key_in_the_query_or_the_body_opens_nothing() -> None:
    app = indexed_app()
    key = make_key(app)
    async with serving(app) as client:
        body = {"question": QUESTION, "key": key}
        response = await client.post(f"/rag?key={key}&api_key={key}", json=body)

    assert response.status_code == 401


@pytest.mark.parametrize("scope", ["feedback", "ask", "admin"])
async def test_a_key_opens_nothing_that_it_is_not_for(scope: str) -> None:
    app = indexed_app()
    key = make_key(app, scopes=(scope,))
    async with serving(app) as client:
        for method, path, body in ASK:
            response = await send(client, method, path, body, **bearing(key))
            if scope != "feedback":
                assert response.status_code == 200
                continue
            assert response.status_code == 403
            assert response.headers["www-authenticate"] == (
                'Bearer realm="twin", error="insufficient_scope", scope="ask"'
            )
            if path.startswith("/v1/"):
                assert response.json()["error"]["type"] == "permission_error"
            else:
                problem(response, status=403, kind="missing-scope")


async def test_a_refused_request_is_refused_before_its_body_is_read() -> None:
    app = indexed_app()
    make_key(app)
    api = create_app(app, config=AnswerConfig())
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("read before it was let in")

    async def keep(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-length", b"99999999"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/rag",
        "headers": headers,
        "query_string": b"",
        "client": ("203.0.113.9", 1),
    }
    await api(scope, receive, keep)

    assert sent[0]["status"] == 401


async def test_who_needs_no_key_is_not_refused_for_a_wrong_one() -> None:
    app = indexed_app()
    make_key(app)
    async with serving(app) as client:
        assert (await client.get("/health", headers=bearing("wrong"))).status_code == 200


async def test_anybody_is_told_whether_it_is_ready_and_admins_are_told_why_not() -> None:
    app = indexed_app()
    admin, other = make_key(app, "a", scopes=("admin",)), make_key(app, "b")
    async with serving(app, address="203.0.113.9") as client:
        while "still loading" in (await client.get("/ready")).text:
            await asyncio.sleep(0.01)
        told = [(await client.get("/ready", headers=h)).json() for h in ({}, bearing(other))]
        inside = (await client.get("/ready", headers=bearing(admin))).json()

    for each in told:
        assert each["ready"]
        assert {part["detail"] for part in each["parts"]} == {"told to admins"}
    assert "sentences" in str(inside["parts"])


async def test_metrics_are_for_this_machine_and_for_admins() -> None:
    app = indexed_app()
    admin, other = make_key(app, "a", scopes=("admin",)), make_key(app, "b")
    async with serving(app) as here:
        local = await here.get("/metrics")
        renamed = await here.get("/metrics", headers={"host": "evil.example"})
        forwarded = await here.get("/metrics", headers={"x-forwarded-for": "127.0.0.1"})
    async with serving(app, address="203.0.113.9", host="twin.example") as client:
        keys: list[dict[str, str]] = [{}, bearing(other), bearing(admin)]
        remote = [(await client.get("/metrics", headers=each)).status_code for each in keys]

    assert [local.status_code, renamed.status_code, forwarded.status_code] == [200, 401, 401]
    assert remote == [401, 403, 200]


async def test_the_documentation_says_where_keys_go() -> None:
    async with serving(indexed_app()) as client:
        described = (await client.get("/openapi.json")).json()

    scheme = described["components"]["securitySchemes"]["key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert described["paths"]["/rag"]["post"]["security"] == [{"key": []}]
    assert "security" not in described["paths"]["/health"]["get"]
