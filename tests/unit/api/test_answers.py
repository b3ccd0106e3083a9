"""What questions, searches and the documentation answer."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from llm_engineering.api.routes import REFUSALS
from llm_engineering.api.schemas import Filters
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.application.rag.rewrite import RewriteConfig
from llm_engineering.application.rag.stages import StagesConfig
from llm_engineering.application.windows import DENSE_WINDOWS, SPARSE_WINDOWS
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter, DocumentKind
from tests.unit.serving import (
    NOTES,
    QUESTION,
    WaitingChat,
    indexed_app,
    memory_app,
    publish,
    serving,
)

LEGS = (*DENSE_WINDOWS, *SPARSE_WINDOWS)


@pytest.mark.anyio
async def test_a_question_is_answered_with_numbered_citations(client: httpx.AsyncClient) -> None:
    response = await client.post("/rag", json={"question": f"  {QUESTION}\n"})

    assert response.status_code == 200, response.text
    body = response.json()
    (citation,) = body["citations"]
    assert citation == {
        "number": 1,
        "title": "Note 0",
        "url": "https://ada.example/0",
        "author": "Ada Lovelace",
        "published_at": "2024-03-01T00:00:00Z",
        "heading_path": ["Note 0"],
        "start": 0,
        "end": len(NOTES[0]),
        "quote": NOTES[0],
        "document_id": citation["document_id"],
    }
    assert (body["answer"], body["abstained"], body["model"]) == (NOTES[0], False, "waiting")
    assert body["index_version"]
    assert 0.4 <= body["evidence"] <= 1
    assert {"embed", "search", "wait", "total"} <= body["timings_ms"].keys()
    assert body["timings_ms"]["total"] == max(body["timings_ms"].values())
    assert body["usage"] == {"prompt_tokens": 0, "completion_tokens": 0}


@pytest.mark.anyio
async def test_weak_evidence_is_a_plain_refusal_without_citations(
    client: httpx.AsyncClient, chat: WaitingChat
) -> None:
    response = await client.post("/rag", json={"question": "zebra quantum marmalade"})

    body = response.json()
    assert (response.status_code, body["abstained"], body["citations"]) == (200, True, [])
    assert body["answer"]
    assert chat.questions == []


@pytest.mark.anyio
async def test_a_search_gives_passages_best_first_with_the_place_of_each_ranking(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post("/search", json={"query": QUESTION, "limit": 2})

    assert response.status_code == 200, response.text
    body = response.json()
    scores = [hit["score"] for hit in body["hits"]]
    best = body["hits"][0]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    assert (best["text"], best["start"], best["end"]) == (NOTES[0], 0, len(NOTES[0]))
    assert best["document"]["url"] == "https://ada.example/0"
    assert {rank["leg"]: rank["rank"] for rank in best["ranks"]} == dict.fromkeys(LEGS, 1)
    assert body["message"] == ""
    assert {"embed", "search", "wait", "total"} <= body["timings_ms"].keys()
    assert body["timings_ms"]["total"] == max(body["timings_ms"].values())


@pytest.mark.anyio
async def test_a_search_says_which_sentence_of_the_document_a_passage_was_found_by() -> None:
    before, after = "Nothing of interest comes first. ", " Nothing follows."
    text = f"{before}{NOTES[0]}{after}"
    app = memory_app()
    publish(app, text, cut=(len(before), len(before) + len(NOTES[0])))
    async with serving(app) as client:
        (hit,) = (await client.post("/search", json={"query": QUESTION})).json()["hits"]

    assert text[hit["best_start"] : hit["best_end"]] == NOTES[0]
    assert text[hit["start"] : hit["end"]] == hit["text"] == text
    assert hit["heading_path"] == ["Note 0"]


@pytest.mark.anyio
async def test_asking_for_an_author_who_is_not_held_says_so_and_finds_nothing(
    chat: WaitingChat,
) -> None:
    question = "What did Grace Hopper write about backups?"
    config = AnswerConfig(stages=StagesConfig(self_query=True))
    async with serving(indexed_app(chat=chat), config=config) as client:
        searched = (await client.post("/search", json={"query": question})).json()
        answered = (await client.post("/rag", json={"question": question})).json()

    assert searched["hits"] == []
    for said in ("'Grace Hopper'", "Ada Lovelace"):
        assert said in searched["message"]
    assert (answered["answer"], answered["abstained"]) == (searched["message"], True)
    assert (answered["evidence"], answered["citations"]) == (0, [])
    assert chat.questions == []


@pytest.mark.anyio
async def test_a_follow_up_question_is_read_with_its_history(chat: WaitingChat) -> None:
    history = [
        {"role": "user", "content": "How do I copy a backup of the database file?"},
        {"role": "assistant", "content": NOTES[0]},
    ]
    question = "How many of those are there?"
    asked = {"question": question, "history": history}
    config = AnswerConfig(stages=StagesConfig(rewrite=RewriteConfig(mode="terms")))
    async with serving(indexed_app(chat=chat), config=config) as client:
        answered = (await client.post("/rag", json=asked)).json()
        alone = (await client.post("/rag", json={"question": question})).json()

    assert (answered["abstained"], answered["answer"]) == (False, NOTES[0])
    assert alone["abstained"]
    (standalone,) = chat.questions
    assert standalone.startswith(question)
    assert {"copy", "backup", "database", "file"} <= set(standalone.split())


@pytest.mark.anyio
async def test_filters_reach_the_index(client: httpx.AsyncClient) -> None:
    filters = {"published_from": "2024-03-02", "published_before": "2024-03-03T01:00:00+01:00"}

    response = await client.post("/search", json={"query": QUESTION, "filters": filters})

    assert [hit["text"] for hit in response.json()["hits"]] == [NOTES[1]]


def test_filters_mean_the_same_as_the_domains_own() -> None:
    moment = datetime(2024, 3, 8, tzinfo=UTC)
    given: dict[str, Any] = {
        "authors": ("Ada Lovelace",),
        "kinds": (DocumentKind.NOTE,),
        "sources": ("files:notes",),
        "languages": ("en",),
        "tags": ("sqlite",),
        "published_from": moment,
        "published_before": moment,
    }

    assert Filters(**given).where() == DocumentFilter(**given)
    assert Filters().where() == EVERYTHING


@pytest.mark.anyio
async def test_the_documentation_needs_no_other_server(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text

    assert "https://" not in page
    for asset in ("/docs-assets/swagger-ui-bundle.js", "/docs-assets/swagger-ui.css"):
        assert asset in page
        assert (await client.get(asset)).status_code == 200


@pytest.mark.anyio
async def test_every_documented_example_is_accepted(client: httpx.AsyncClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]

    for path, schema in (("/rag", "RagRequest"), ("/search", "SearchRequest")):
        assert schemas[schema]["examples"]
        for example in schemas[schema]["examples"]:
            response = await client.post(path, json=example)
            assert response.status_code == 200, response.text


@pytest.mark.anyio
async def test_documented_errors_are_problems(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]

    assert {path for path in paths if not path.startswith("/v1/")} == {
        *(
            "/rag",
            "/search",
            "/feedback",
            "/conversations",
            "/documents/{document_id}",
            "/conversations/{conversation_id}",
            "/conversations/{conversation_id}/remembered/{remembered_id}",
            "/health",
            "/ready",
            "/metrics",
        )
    }
    for path in ("/rag", "/search"):
        responses = paths[path]["post"]["responses"]
        unknown = {"404"} if path == "/rag" else set()  # of a conversation
        assert responses.keys() == {"200", *unknown, *map(str, REFUSALS)}
        for status in responses.keys() - {"200"}:
            assert responses[status]["content"].keys() == {"application/problem+json"}
    for path, methods in paths.items():
        for operation in methods.values():
            assert operation["tags"], path
            assert operation["summary"], path
            assert operation["description"], path
