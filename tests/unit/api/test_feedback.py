"""POST /feedback: an opinion is kept with the answer as it was served."""

import json
from datetime import UTC, datetime

import httpx
import pytest

from llm_engineering.api.served import ServedAnswers
from llm_engineering.application.keys import create_key
from llm_engineering.bootstrap import App
from llm_engineering.domain.access import Scope
from llm_engineering.domain.chat import Answer, Message, Role
from llm_engineering.domain.errors import NotFound
from llm_engineering.domain.served import ServedAnswer
from tests.unit.serving import NOTES, QUESTION, WaitingChat, indexed_app, note, serving

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 1, 2, tzinfo=UTC)
EDIT = "A backup is one copy, and nothing else."


async def asked(client: httpx.AsyncClient, **more: object) -> str:
    response = await client.post("/rag", json={"question": QUESTION}, **more)  # type: ignore[arg-type]
    answer_id = response.json()["answer_id"]
    assert isinstance(answer_id, str)
    return answer_id


def bearer(app: App, name: str, *scopes: Scope, author: bool = False) -> dict[str, str]:
    secret, _ = create_key(
        name, scopes=scopes, store=app.keys, audit=app.audit, now=NOW, author=author
    )
    return {"authorization": f"Bearer {secret}"}


async def test_an_opinion_is_kept_with_what_was_served(chat: WaitingChat) -> None:
    app = indexed_app(chat=chat)
    async with serving(app) as client:
        answer_id = await asked(client)
        given = {"answer_id": answer_id, "liked": False, "edit": EDIT}
        response = await client.post("/feedback", json=given)

    [kept] = app.feedback.find()
    assert response.status_code == 201
    assert response.json()["id"] == kept.id
    assert (kept.served, kept.edit, kept.liked) == (NOTES[0], EDIT, False)
    assert (kept.model, kept.answer_id) == ("waiting", answer_id)
    assert QUESTION in kept.prompt[-1].content
    document = note(NOTES[0], number=0)
    assert document.id in kept.document_ids
    assert f"{document.id}:0-{len(NOTES[0])}" in kept.passages
    assert not kept.by_author


async def test_a_streamed_answer_can_be_rated_too(client: httpx.AsyncClient) -> None:
    message = {"role": "user", "content": QUESTION}
    whole = await client.post("/v1/chat/completions", json={"messages": [message]})
    answer_id = whole.json()["grounds"]["answer_id"]

    response = await client.post("/feedback", json={"answer_id": answer_id, "liked": True})

    assert response.status_code == 201


async def test_a_second_opinion_replaces_the_first(chat: WaitingChat) -> None:
    app = indexed_app(chat=chat)
    async with serving(app) as client:
        answer_id = await asked(client)
        for liked in (True, False):
            await client.post("/feedback", json={"answer_id": answer_id, "liked": liked})

    assert [each.liked for each in app.feedback.find()] == [False]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "says nothing"),
        ({"edit": " "}, "is empty"),
        ({"edit": f" {NOTES[0]}\n"}, "is the answer as it was"),
        ({"edit": "\ud800"}, ""),
        ({"edit": "x" * 20_001}, ""),
    ],
)
async def test_what_says_nothing_new_is_refused(
    client: httpx.AsyncClient, given: dict[str, str], said: str
) -> None:
    answer_id = await asked(client)

    body = json.dumps({"answer_id": answer_id, **given})
    sent = {"content-type": "application/json"}
    response = await client.post("/feedback", content=body, headers=sent)

    assert response.status_code in (400, 422)
    assert said in response.text


async def test_only_who_asked_and_an_admin_may_rate(chat: WaitingChat) -> None:
    app = indexed_app(chat=chat)
    mine = bearer(app, "mine", Scope.ASK, Scope.FEEDBACK)
    others = bearer(app, "others", Scope.ASK, Scope.FEEDBACK)
    admin = bearer(app, "admin", Scope.ADMIN)
    asks = bearer(app, "asks", Scope.ASK)
    async with serving(app) as client:
        given = {"answer_id": await asked(client, headers=mine), "liked": True}
        statuses = [
            (await client.post("/feedback", json=given, headers=who)).status_code
            for who in (others, asks, mine, admin)
        ]

    assert statuses == [404, 403, 201, 201]


async def test_only_the_authors_key_makes_an_edit_the_authors(chat: WaitingChat) -> None:
    app = indexed_app(chat=chat)
    author = bearer(app, "ada", Scope.ASK, Scope.FEEDBACK, author=True)
    reader = bearer(app, "reader", Scope.ASK, Scope.FEEDBACK)
    async with serving(app) as client:
        for who in (author, reader):
            given = {"answer_id": await asked(client, headers=who), "edit": EDIT}
            await client.post("/feedback", json=given, headers=who)

    assert [each.by_author for each in app.feedback.find()] == [True, False]


async def test_an_answer_from_an_erased_document_cannot_be_rated(chat: WaitingChat) -> None:
    app = indexed_app(chat=chat)
    documents = [note(text, number=number) for number, text in enumerate(NOTES)]
    app.documents.put(documents)
    async with serving(app) as client:
        answer_id = await asked(client)
        app.documents.remove([each.id for each in documents], at=NOW)
        response = await client.post("/feedback", json={"answer_id": answer_id, "liked": True})

    assert response.status_code == 404
    assert list(app.feedback.find()) == []


def served(name: str, text: str = "It is.") -> ServedAnswer:
    answer = Answer(
        id=name,
        question="Is it?",
        text=text,
        abstained=False,
        citations=(),
        passages=(),
        evidence=1.0,
        model="m",
    )
    prompt = (Message(role=Role.USER, content="Is it?"),)
    return ServedAnswer(answer=answer, prompt=prompt, at=NOW, conversation=f"of {name}")


def test_the_oldest_answers_make_room_by_number_and_bytes() -> None:
    answers = ServedAnswers(count=2, total_bytes=20_000)
    for name in "abc":
        answers.keep(served(name))
    with pytest.raises(NotFound):
        answers.get("a")
    answers.keep(served("d", "x" * 4_000))
    assert len(answers) == 1
    answers.keep(served("huge", "x" * 40_000))

    assert answers.get("d") == served("d", "x" * 4_000)
    with pytest.raises(NotFound):
        answers.get("huge")


def test_answers_are_forgotten_with_age_and_with_their_conversation() -> None:
    now = [0.0]
    answers = ServedAnswers(age_s=10, clock=lambda: now[0])
    answers.keep(served("a"))
    now[0] = 5
    answers.keep(served("b"))
    answers.keep(served("c"))
    now[0] = 11
    answers.forget(conversation="of b")

    assert answers.get("c") == served("c")
    for gone in "ab":
        with pytest.raises(NotFound):
            answers.get(gone)
