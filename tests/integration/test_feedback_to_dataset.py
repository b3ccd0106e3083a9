"""The loop closes: what an author corrects on an answer is what the next set teaches."""

from pathlib import Path

import pytest

from llm_engineering.api.app import create_app
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import App, open_app
from llm_engineering.domain.chat import ChatRequest
from llm_engineering.domain.samples import RejectedBy, Split
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from llm_engineering.settings import HashEmbedderSettings, Settings
from tests.integration.test_datasets_pipeline import SMALL, run
from tests.unit.app_steps import build
from tests.unit.corpus import note, notes
from tests.unit.serving import bearing, make_key, serving

pytest.importorskip("zenml")
pytestmark = pytest.mark.anyio
OLD, NEW = note(3), note(39)
"""The past is trained on, the latest tested on."""
EDIT = "I keep no kit for that: my neighbour has one, and we share it every other Sunday."
BY_READER = "It is said that a kit is kept by everybody who has ever needed one on a Sunday."
ONE = AnswerConfig.model_validate(
    {"retrieval": {"candidates": 1, "dense_weight": 0}, "min_evidence": 0, "max_tokens": 64}
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def indexed(app: App) -> None:
    app.documents.put(notes())
    build(app)


def answering(request: ChatRequest) -> str:
    return f"There is a kit in my shed, I think, next to the saw. {request.passages[0].text} [1]"


async def corrected(app: App) -> dict[str, str]:
    """An answer from an old note and one from the latest, corrected by the author and a reader;
    the ids of the answers."""
    author, reader = (
        bearing(make_key(app, name, scopes=("ask", "feedback"), author=own))
        for name, own in (("ada", True), ("reader", False))
    )
    given = {}
    api = create_app(app, config=ONE)
    async with serving(app, api=api) as client:
        for name, who, about, edit in (
            ("own", author, OLD, EDIT),
            ("reader's", reader, OLD, BY_READER),
            ("held out", author, NEW, EDIT + " Really."),
        ):
            title = about.text.split("\n\n")[0]
            asked = await client.post("/rag", json={"question": title[:200]}, headers=who)
            answer_id = asked.json()["answer_id"]
            body = {"answer_id": answer_id, "edit": edit, "liked": False}
            response = await client.post("/feedback", json=body, headers=who)
            assert response.status_code == 201, response.text
            given[name] = response.json()["id"]
    return given


async def test_an_authors_edit_is_a_pair_of_the_next_set_and_nobody_elses_is(
    tmp_path: Path,
) -> None:
    embedder = HashEmbedderSettings(kind="hash")
    settings = Settings(home=tmp_path / "home", progress="off", embedder=embedder)
    with open_app(settings) as app:
        indexed(app)
        app.__dict__["chat"] = ScriptedChat(script=answering)
        given = await corrected(app)
        kept = {each.id: each for each in app.feedback.find()}
    (tmp_path / "datasets.yaml").write_text("languages: [en]\n", encoding="utf-8")
    done = run(tmp_path, *SMALL)
    assert done.code == 0, done.err
    version = done.json()["reports"]["datasets"]["version"]
    files = sorted((tmp_path / "home" / "datasets" / version).glob("*.jsonl"))
    rows = "".join(path.read_text("utf-8") for path in files)
    with open_app(settings) as app:
        samples = app.samples.get(version)

    [pair] = [each for each in samples.preference if each.rejected_by is RejectedBy.SERVED]
    own = kept[given["own"]]
    assert OLD.id in own.document_ids
    assert (pair.chosen, pair.rejected) == (EDIT, own.served)
    assert (pair.prompt, pair.rejected_from) == (own.prompt, own.id)
    assert OLD.text.split("\n\n")[0][:80] in "".join(each.content for each in pair.prompt)
    assert pair.split in (Split.TRAIN, Split.VALIDATION)
    assert rows.count(f'"{EDIT}"') == 1
    assert BY_READER not in rows
    assert samples.manifest.dropped["feedback: an edit that is not the author's"] == 1
    assert samples.manifest.dropped["feedback: on a document that is held out or gone"] == 1
