"""`twin feedback` and `twin documents forget` as they are typed, over a home of real files."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from llm_engineering.application.erasure import ERASED
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.chat import Answer, Citation, Message, Role
from llm_engineering.domain.conversations import Conversation, ConversationTurn
from llm_engineering.domain.documents import Document
from llm_engineering.domain.feedback import Feedback
from tests.unit.app_steps import build
from tests.unit.corpus import NOW
from tests.unit.serving import note
from tests.unit.test_dataset_commands import Outcome
from tools.cli import main

SECRET = "The xyzzy of my site is kept in a drawer."
Twin = Callable[..., Outcome]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TWIN_EMBEDDER__KIND", "hash")
    monkeypatch.setenv("TWIN_PROGRESS", "off")
    return tmp_path / "home"


@pytest.fixture
def twin(home: Path, capsys: pytest.CaptureFixture[str]) -> Twin:
    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        return Outcome(code, *capsys.readouterr())

    return run


def opinion(name: str, minutes: int = 0, **fields: object) -> Feedback:
    given: dict[str, object] = {
        "id": name,
        "prompt": (Message(role=Role.USER, content="What of “it”?"),),
        "served": f"It is {name}.",
        "model": "sft-1",
        "created_at": NOW + timedelta(minutes=minutes),
    }
    return Feedback.model_validate(given | fields)


@pytest.fixture
def given(home: Path) -> None:
    with open_app() as app:
        app.feedback.put(
            [
                opinion("up", 1, liked=True),
                opinion("down", 0, liked=False, model="sft-2"),
                opinion("own", 2, edit="It is something else, word by word.", by_author=True),
                opinion("other", 3, edit="It is what readers say instead.", liked=False),
                opinion("same", 4, edit="IT is same.", by_author=True),
            ]
        )


def test_without_feedback_the_list_says_where_it_comes_from(twin: Twin) -> None:
    done = twin("feedback", "list")

    assert (done.code, done.out) == (0, "")
    assert "POST /feedback" in done.err


@pytest.mark.usefixtures("given")
@pytest.mark.parametrize(
    ("options", "names"),
    [
        ((), ["down", "up", "own", "other", "same"]),
        (("--liked",), ["up"]),
        (("--disliked",), ["down", "other"]),
        (("--edited",), ["own", "other", "same"]),
        (("--edited", "--disliked"), ["other"]),
        (("--model", "sft-2"), ["down"]),
    ],
)
def test_feedback_is_listed_and_exported_oldest_first_as_it_is_chosen(
    twin: Twin, options: tuple[str, ...], names: list[str]
) -> None:
    listed = twin("feedback", "list", "--json", *options)
    exported = twin("feedback", "export", *options)

    assert [each["id"] for each in json.loads(listed.out)] == names
    rows = [Feedback.model_validate_json(line) for line in exported.out.splitlines()]
    assert [row.id for row in rows] == names


@pytest.mark.usefixtures("given")
def test_a_list_for_people_says_whose_an_edit_is(twin: Twin) -> None:
    rows = {line.split()[0]: line for line in twin("feedback", "list").out.splitlines()}

    assert "author's" in rows["own"]
    assert "reader's" in rows["other"]
    assert "yes" in rows["up"]
    assert "no" in rows["down"]
    assert "It is up." in rows["up"]


@pytest.mark.usefixtures("given")
def test_pairs_are_the_authors_own_edits_and_those_that_are_accepted(twin: Twin) -> None:
    def pairs() -> list[dict[str, object]]:
        lines = twin("feedback", "export", "--as", "pairs").out.splitlines()
        return [json.loads(line) for line in lines]

    before = pairs()
    accepted = twin("feedback", "accept", "other")
    after = pairs()

    assert [pair["feedback_id"] for pair in before] == ["own"]
    assert before[0] == {
        "prompt": [{"role": "user", "content": "What of “it”?"}],
        "chosen": [{"role": "assistant", "content": "It is something else, word by word."}],
        "rejected": [{"role": "assistant", "content": "It is own."}],
        "feedback_id": "own",
    }
    assert accepted.out == "accepted 1 edits\n"
    assert [pair["feedback_id"] for pair in after] == ["own", "other"]


def quoting(document: Document) -> Conversation:
    quote = Citation.of(document.ref(), start=0, end=len(SECRET), quote=SECRET)
    answer = Answer(
        question="Where?",
        text=f"“{SECRET}” [1]",
        abstained=False,
        citations=(quote,),
        passages=(),
        evidence=1,
        model="m",
    )
    turns = (
        ConversationTurn(role="user", text="Where?", at=NOW),
        ConversationTurn(role="assistant", text=answer.text, at=NOW, answer=answer),
    )
    return Conversation(id="c", owner="", created_at=NOW, updated_at=NOW, turns=turns)


@pytest.mark.parametrize("by", ["id", "url"])
def test_a_document_that_is_forgotten_is_in_no_file_at_all(home: Path, twin: Twin, by: str) -> None:
    secret, other = note(SECRET, number=0), note("Long winters make for good reading.", number=1)
    with open_app() as app:
        app.documents.put([secret, other])
        build(app)
        app.feedback.put(
            [
                opinion("on it", served=SECRET, document_ids=(secret.id,)),
                opinion("on another", document_ids=(other.id,)),
            ]
        )
        app.conversations.add(quoting(secret))
        done = twin("documents", "forget", getattr(secret, by), "--json")
        files = [path for path in home.rglob("*") if path.is_file()]
        held = [path.name for path in files if b"xyzzy" in path.read_bytes()]
        (kept,) = app.conversations.all()
        ids = [each.id for each in app.feedback.find()]

    assert done.code == 0, done.err
    assert json.loads(done.out) == {
        "documents": 1,
        "chunks": 1,
        "feedback": 1,
        "conversations": 1,
        "tainted": [],
    }
    assert kept.turns[1].text == ERASED
    assert ids == ["on another"]
    assert held == []
    again = twin("documents", "forget", secret.id)
    assert again.out.startswith("erased 0 documents, 0 chunks, 0 opinions; 0 conversations")
    assert twin("documents", "list").out.split("\t")[0] == other.id


def test_a_document_that_was_never_there_is_one_line(twin: Twin) -> None:
    done = twin("documents", "forget", "nothing")

    assert done.error() == "no document 'nothing'; 'twin documents list' shows the ids"


def test_an_erasure_that_has_to_wait_says_how_to_finish_it(twin: Twin, home: Path) -> None:
    with open_app() as app:
        app.documents.put([secret := note(SECRET, number=1)])
        build(app)
        building = app.index.build(app.index.manifest())
        waiting = twin("documents", "forget", secret.url)
        building.release()
    how = waiting.err.partition("'twin ")[2].partition("'")[0]
    finished = twin(*how.split())

    assert waiting.code == 1
    assert finished.out.startswith("erased 0 documents, 1 chunks")
