"""An embedder is really trained, and kept only when it finds held-out passages better."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_socket import disable_socket, enable_socket

from llm_engineering.bootstrap import open_app
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.jobs import (
    TrainingRule,
    TuneEmbedderJob,
    TuneEmbedderResult,
    TuningPair,
)
from llm_engineering.infrastructure.openvino_embedder import OpenVinoEmbedder
from llm_engineering.recipes import tune_embedder as recipe
from llm_engineering.recipes.running import read_job
from tests.contract.encoder_folders import WORDS, encoder_folder
from tests.unit.writing import document
from tools import embedder as command
from tools.cli import main

pytest.importorskip("accelerate")
pytest.importorskip("datasets")
sentence_transformers = pytest.importorskip("sentence_transformers")

SAID, MEANT = WORDS[:8], WORDS[8:16]
"""The n-th word of the one goes with the n-th word of the other."""
LEARNS = TrainingRule(epochs=25, batch_size=14, learning_rate=3e-3)
LEARNS_NOTHING = TrainingRule(epochs=1, batch_size=14, learning_rate=1e-12)


@pytest.fixture(autouse=True)
def _no_network() -> object:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return encoder_folder(tmp_path / "tiny")


def job(base: Path, output: Path, training: TrainingRule) -> TuneEmbedderJob:
    """Three words say what three others mean; a quarter of the triples is held out."""
    triples = list(combinations(range(len(SAID)), 3))
    passages = tuple(" ".join(MEANT[n] for n in triple) for triple in triples)
    pairs = [
        TuningPair(
            document=f"document {position}",
            anchor=" ".join(SAID[n] for n in triple),
            text=passages[position],
            passage=position,
            negatives=((position + 4) % len(triples),),
        )
        for position, triple in enumerate(triples)
    ]
    return TuneEmbedderJob(
        base=str(base),
        output=output,
        passages=passages,
        train=tuple(pair for pair in pairs if pair.passage % 4),
        held_out=tuple(pair for pair in pairs if not pair.passage % 4),
        training=training,
    )


def kept_result(output: Path) -> TuneEmbedderResult:
    return TuneEmbedderResult.model_validate_json((output / "result.json").read_bytes())


def test_an_embedder_that_learned_is_kept_and_runs_in_both_backends(
    base: Path, tmp_path: Path
) -> None:
    given_job = job(base, tmp_path / "out", LEARNS)
    result = recipe.tune_embedder(given_job)

    assert result == kept_result(tmp_path / "out")
    assert result.kept
    assert result.model is not None
    assert result.after.mrr_at_10 > result.before.mrr_at_10
    assert result.mrr_gain.low > 0
    assert (result.steps, result.held_out_documents) == (3 * 25, 14)
    texts = [pair.anchor for pair in given_job.train]
    tuned = OpenVinoEmbedder(str(result.model), threads=1)
    theirs = sentence_transformers.SentenceTransformer(str(result.model), device="cpu").encode(
        texts, normalize_embeddings=True, show_progress_bar=False
    )
    assert (tuned.embed(texts) * theirs).sum(axis=1).min() > 0.99
    assert tuned.window == OpenVinoEmbedder(str(base), threads=1).window
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "result.json",
        result.model.name,
    ]


def test_an_embedder_that_learned_nothing_is_not_kept_nor_is_an_earlier_one(
    base: Path, tmp_path: Path
) -> None:
    given_job = job(base, tmp_path / "out", LEARNS_NOTHING)
    recipe.model_folder(given_job).mkdir(parents=True)
    result = recipe.tune_embedder(given_job)

    assert not result.kept
    assert result.model is None
    assert "not above zero" in result.reason
    assert result.after == result.before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["result.json"]


def test_another_training_makes_another_name(base: Path, tmp_path: Path) -> None:
    one, other = (
        recipe.model_folder(job(base, tmp_path, LEARNS.model_copy(update={"seed": seed})))
        for seed in (1, 2)
    )

    assert one.name != other.name
    moved = job(base, tmp_path / "elsewhere", LEARNS.model_copy(update={"seed": 1}))
    assert recipe.model_folder(moved).name == one.name


@pytest.mark.parametrize(
    ("content", "named"), [(None, "No such file"), ("{}", "base: Field required")]
)
def test_a_file_that_is_no_job_is_one_line(tmp_path: Path, content: str | None, named: str) -> None:
    if content is not None:
        (tmp_path / "job.json").write_text(content)

    with pytest.raises(InvalidInput, match=named) as refused:
        read_job(tmp_path / "job.json", recipe.JOB)
    assert "\n" not in str(refused.value)


def test_a_base_that_is_no_embedder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot load the embedder") as refused:
        recipe.tune_embedder(job(tmp_path, tmp_path / "out", LEARNS))
    assert "\n" not in str(refused.value)


@given(st.integers(0, 9), st.integers(1, 12), st.integers(1, 6))
def test_a_rank_counts_the_passages_that_are_not_worse(seed: int, count: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    passages, anchors, right = (
        rng.integers(-2, 3, size=(rows, width)).astype(np.float32) for rows in (count, 4, 4)
    )
    positions = rng.integers(count, size=4).tolist()
    expected = [
        1
        + sum(
            float(passages[row] @ anchors[at]) >= float(right[at] @ anchors[at])
            for row in range(count)
            if row != positions[at]
        )
        for at in range(4)
    ]

    assert recipe.ranks(anchors, right, passages, positions=positions).tolist() == expected


def test_vectors_that_are_no_numbers_find_nothing() -> None:
    broken = np.full((3, 2), np.nan, dtype=np.float32)

    assert recipe.ranks(broken, broken, broken, positions=[0, 1, 2]).tolist() == [3, 3, 3]


def test_pairs_of_one_document_are_drawn_together() -> None:
    before, after = np.array([2, 2, 2, 2]), np.array([1, 1, 1, 2])

    def pairs(*documents: str) -> list[TuningPair]:
        return [TuningPair(document=d, anchor="a", text="t", passage=0) for d in documents]

    together = recipe.mrr_gain(before, after, pairs("x", "x", "x", "x"), seed=0)
    apart = recipe.mrr_gain(before, after, pairs("w", "x", "y", "z"), seed=0)
    assert together.mean == together.low == together.high == pytest.approx(0.375)
    assert apart.low < apart.mean < apart.high
    assert apart.mean == pytest.approx(0.375)


# the command


@pytest.fixture
def home(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TWIN_EMBEDDER__MODEL", str(base))
    return tmp_path / "home"


def collect(count: int) -> None:
    """Notes of one statement and what follows from it."""
    triples = list(combinations(range(len(SAID)), 3))[:count]
    with open_app() as app:
        app.documents.put(
            [
                document(
                    f"{' '.join(SAID[n] for n in triple).capitalize()} all night long. "
                    f"{' '.join(MEANT[n] for n in triple).capitalize()} and then {number} it "
                    "rained over the hill.",
                    url=f"https://ada.example/{number}",
                    title=f"Of {' '.join(SAID[n] for n in triple)}",
                )
                for number, triple in enumerate(triples)
            ]
        )


def config(folder: Path) -> str:
    """For an encoder of 24 tokens that finds all texts much alike: none is clearly wrong."""
    file = folder / "tune_embedder.yaml"
    file.write_text(
        "{chunk: {max_tokens: 22, min_tokens: 0}, held_out_share: 0.3, min_held_out: 3, "
        "negatives: 0, training: {batch_size: 8}}"
    )
    return str(file)


def test_the_command_trains_on_the_twins_documents(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    collect(40)
    code = main(["embedder", "tune", "-c", config(tmp_path), "--json"])
    out, err = capfd.readouterr()

    assert code == 0, err
    told = TuneEmbedderResult.model_validate(json.loads(out))
    assert told == kept_result(home / "models" / "embedder")
    assert told.train_pairs > 0 < told.held_out_pairs
    assert "step" in err


def test_the_command_refuses_a_corpus_that_is_too_small(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collect(2)

    assert main(["embedder", "tune", "-c", config(tmp_path)]) == 1
    assert "3 are needed" in capsys.readouterr().err
    assert not (home / "models").exists()


def test_the_command_names_the_extra(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "datasets" else True)

    assert main(["embedder", "tune"]) == 1
    assert "'datasets' is not installed; pip install 'llm-twin[tune]'" in capsys.readouterr().err


def test_hashed_words_cannot_be_tuned(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TWIN_EMBEDDER__MODEL")
    monkeypatch.setenv("TWIN_EMBEDDER__KIND", "hash")

    assert main(["embedder", "tune"]) == 1
    assert "has no weights to tune" in capsys.readouterr().err
