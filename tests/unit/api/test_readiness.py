"""Alive is not ready: what each of the two says, and when."""

import asyncio

import httpx
import pytest

from llm_engineering.bootstrap import App
from llm_engineering.domain import errors
from llm_engineering.settings import HashEmbedderSettings
from tests.unit.serving import (
    NOTES,
    indexed_app,
    memory_app,
    publish,
    serving,
)


async def ready(client: httpx.AsyncClient) -> httpx.Response:
    """The state once the models are loaded."""
    while "still loading" in (response := await client.get("/ready")).text:
        await asyncio.sleep(0.01)
    return response


@pytest.mark.anyio
async def test_health_needs_neither_index_nor_models(monkeypatch: pytest.MonkeyPatch) -> None:
    def unloadable(_: App) -> None:
        raise RuntimeError("no model can be loaded")

    monkeypatch.setattr(App, "embedder", property(unloadable))
    async with serving(memory_app()) as client:
        response = await client.get("/health")

    assert response.status_code == 200
    assert response.json()["status"] == "alive"


@pytest.mark.anyio
async def test_readiness_turns_green_by_itself_when_an_index_is_published() -> None:
    app = memory_app()
    async with serving(app) as client:
        before = await ready(client)
        publish(app, *NOTES)
        after = await ready(client)

    states = {part["name"]: part["ready"] for part in before.json()["parts"]}
    assert (before.status_code, before.json()["ready"]) == (503, False)
    assert states == {"model": True, "index": False, "documents": True}
    assert (after.status_code, after.json()["ready"]) == (200, True)


@pytest.mark.anyio
async def test_readiness_names_both_embedders_when_they_differ() -> None:
    app = memory_app()
    other = App(
        app.settings.model_copy(
            update={"embedder": HashEmbedderSettings(kind="hash", dimension=32)}
        )
    )
    other.__dict__["index"] = app.index
    publish(other, *NOTES)
    async with serving(app) as client:
        response = await ready(client)

    index = next(part for part in response.json()["parts"] if part["name"] == "index")
    assert response.status_code == 503
    assert not index["ready"]
    assert str(other.embedder.dimension) in index["detail"]
    assert str(app.embedder.dimension) in index["detail"]


class DownDocuments:
    """A document store whose server does not answer."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_many(self, document_ids: object) -> dict[str, object]:
        raise self._error


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (errors.BackendUnavailable("MongoDB at db:27017 does not answer"), "db:27017"),
        (RuntimeError("secret"), "unexpected error"),
    ],
)
async def test_readiness_says_that_the_document_store_is_down(
    error: Exception, detail: str
) -> None:
    async with serving(indexed_app(documents=DownDocuments(error))) as client:
        response = await ready(client)

    (down,) = (part for part in response.json()["parts"] if not part["ready"])
    assert response.status_code == 503
    assert down["name"] == "documents"
    assert detail in down["detail"]
    assert "secret" not in down["detail"]
