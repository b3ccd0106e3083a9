"""`twin eval retrieval` and `make bench-retrieval` over real files, crawled and indexed."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_engineering.application.evaluation.rankers import sentence_ranker
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import open_app
from tools import bench_retrieval
from tools.bench_retrieval import Benchmark, Measured
from tools.bench_retrieval_baselines import reciprocal_ranks, scaled_sum
from tools.cli import main
from tools.corpus_index import index_folder

ROOT = Path(__file__).parents[2]
FLEAS = "---\ntitle: Of fleas\n---\n\n# Fleas\r\n\r\nA flea jumps two hundred times its length."
TOPICS = ("moss", "granite", "otters", "clouds", "yeast", "copper", "tides", "owls", "salt", "ink")

Twin = Callable[..., tuple[int, str, str]]


class Alphabetical:
    """A reranker that judges by the first letter."""

    name = "alphabetical"

    def score(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        return np.array([-ord(text[0]) for text in passages], dtype=np.float32)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Eleven notes, one of them below a folder, with front matter and carriage returns."""
    folder = tmp_path / "notes"
    (folder / "small").mkdir(parents=True)
    (folder / "small" / "fleas.md").write_bytes(FLEAS.encode())
    for topic in TOPICS:
        text = f"# About {topic}\n\nThis note tells of {topic}. It was written on a {topic} day."
        (folder / f"{topic}.md").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    start = FLEAS.index("A flea")
    asked = [
        ("How far does a flea jump?", [{"start_index": start, "end_index": len(FLEAS)}], "fleas"),
        *((f"What tells of {t}?", [{"content": f"tells of {t}."}], f"{t}.md") for t in TOPICS),
        ("Who zigzags quixotically?", [], ""),
    ]
    file = tmp_path / "questions.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["question", "references", "corpus_id", "kind"])
        for text, references, document in asked:
            writer.writerow([text, json.dumps(references), document, "note" if document else "far"])
    return file


@pytest.fixture
def twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Twin:
    """Runs `twin` in an empty folder, with vectors from hashed words."""
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TWIN_EMBEDDER__KIND", "hash")
    monkeypatch.setenv("TWIN_PROGRESS", "off")

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return run


def report_of(outcome: tuple[int, str, str]) -> dict[str, Any]:
    code, out, err = outcome
    assert code == 0, err
    report: dict[str, Any] = json.loads(out)
    return report


def test_a_folder_is_measured_without_touching_the_twin(
    twin: Twin, corpus: Path, questions: Path, tmp_path: Path
) -> None:
    report = report_of(
        twin("eval", "retrieval", "--questions", questions, "--corpus", corpus, "--json")
    )
    assert (report["questions"], report["unanswerable"]) == (12, 1)
    assert (report["references"], report["unlocated"]) == (11, 0)
    assert [(each["group"], each["questions"]) for each in report["groups"]] == [("all", 11)]
    found = report["groups"][0]["estimates"]
    # Within 1,500 characters nearly the whole corpus is taken.
    assert found["recall@5500"]["mean"] == 1
    assert 0 < found["precision@1500"]["mean"] < 1
    assert found["hit@10"]["mean"] > 0.9
    assert found["mrr"]["low"] <= found["mrr"]["mean"] <= found["mrr"]["high"]
    assert 0 < report["p50_ms"] <= report["p99_ms"]
    assert report["refusals"]["unanswerable"] == 1
    assert len(report["refusals"]["curve"]) == 10
    assert not (tmp_path / "home" / "documents.db").exists()


def test_the_twins_own_index_is_measured_by_default(
    twin: Twin, corpus: Path, questions: Path
) -> None:
    with open_app() as app:
        index_folder(app, corpus)
    own = report_of(twin("eval", "retrieval", "--questions", questions, "--json"))
    other = report_of(
        twin("eval", "retrieval", "--questions", questions, "--corpus", corpus, "--json")
    )
    assert own["groups"] == other["groups"]
    assert own["refusals"] == other["refusals"]


def test_without_json_it_is_a_table_of_metrics(twin: Twin, corpus: Path, questions: Path) -> None:
    code, out, _ = twin("eval", "retrieval", "--questions", questions, "--corpus", corpus)
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0
    assert rows[0] == ["%", "all (11)"]
    assert [row[0] for row in rows if row[0].startswith("recall")] == [
        "recall at 1,500",
        "recall at 2,700",
        "recall at 5,500",
    ]
    assert ["recall at 5,500", "100.0 [100.0, 100.0]"] in rows
    assert "AUC" in out
    assert "refused of far" in out


def test_a_config_decides_what_is_refused(
    twin: Twin, corpus: Path, questions: Path, tmp_path: Path
) -> None:
    file = tmp_path / "rag.yaml"
    file.write_text("min_evidence: 1.0\n", encoding="utf-8")
    shares = report_of(
        twin(
            *("eval", "retrieval", "--questions", questions, "--corpus", corpus),
            *("-c", file, "--json"),
        )
    )["refusals"]["configured"]
    assert (shares["threshold"], shares["recall"], shares["wrongly"]) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("fleas", "questions.csv, row 2: there is no document 'flies'"),
        ("end_index", "questions.csv, row 2: references.0"),
    ],
)
def test_a_mistake_in_the_questions_is_one_line(
    twin: Twin, corpus: Path, questions: Path, change: str, said: str
) -> None:
    text = questions.read_text(encoding="utf-8").replace(change, "flies")
    questions.write_text(text, encoding="utf-8")
    code, out, err = twin("eval", "retrieval", "--questions", questions, "--corpus", corpus)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith(f"twin: error: {said}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--questions", "gone.csv"], "no file gone.csv"),
        (["--questions", "questions.csv", "--corpus", "gone"], "no such folder or file: 'gone'"),
        (["--questions", "questions.csv"], "twin run"),
    ],
)
def test_what_is_not_there_is_one_line(
    twin: Twin, questions: Path, arguments: list[str], said: str
) -> None:
    code, out, err = twin("eval", "retrieval", *arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert said in err


@pytest.mark.usefixtures("twin")
def test_reranking_is_measured_like_any_other_stage(corpus: Path) -> None:
    config = AnswerConfig.model_validate({"stages": {"rerank": {"weight": 1.0}}})
    with open_app() as app:
        index_folder(app, corpus)
        plain = sentence_ranker(AnswerConfig(), ports=app.search_ports)("otters").spans
        ports = replace(app.search_ports, reranker=Alphabetical())
        reranked = sentence_ranker(config, ports=ports)("otters").spans
        titles = {head.id: app.documents.get(head.id).title for head in app.documents.heads()}
    letters = [titles[span.document][0] for span in reranked]
    assert letters == sorted(letters) != [titles[span.document][0] for span in plain]
    assert sorted(reranked) == sorted(plain)


@pytest.mark.usefixtures("twin")
def test_stages_before_ranking_are_measured(corpus: Path) -> None:
    config = AnswerConfig.model_validate({"stages": {"self_query": True}})
    with open_app() as app:
        index_folder(app, corpus)
        ranker = sentence_ranker(config, ports=app.search_ports)
        assert ranker("What tells of otters?").spans
        assert ranker("What did Grace write about otters?").spans == ()


def test_the_benchmark_ranks_every_baseline_and_the_twin(
    twin: Twin, corpus: Path, questions: Path
) -> None:
    outcome = bench_retrieval.measure(Benchmark(name="notes", questions=questions, corpus=corpus))
    names = [(row.metrics.group, row.contextual) for row in outcome.rows]
    assert len(names) == len(set(names)) == 2 * 2 * 6 + 1
    assert names[-1] == (bench_retrieval.PRODUCT, False)
    assert (outcome.documents, outcome.questions, outcome.unlocated) == (11, 11, 0)
    assert [(each.metric, each.contextual) for each in outcome.differences] == [
        (f"recall@{budget}", contextual)
        for contextual in (False, False, True)
        for budget in (1_500, 2_700, 5_500)
    ]
    shown = bench_retrieval.table(outcome)
    assert "| BM25, 120 tokens + |" in shown
    assert shown.count("\n| ") == 25 + 2 + 9


def test_a_difference_is_to_the_best_baseline_of_each_sort() -> None:
    def measured(name: str, recall: float, *, contextual: bool = False) -> Measured:
        return Measured(name, contextual, np.full((4, 13), recall), ms=1.0)

    found = list(
        bench_retrieval.differences(
            [
                measured("weak", 0.2),
                measured("strong", 0.3),
                measured("weighted sum", 0.4),
                measured("strongest", 0.6, contextual=True),
                measured("the twin", 0.5),
            ]
        )
    )
    best = ["strong"] * 3 + ["weighted sum"] * 3 + ["strongest"] * 3
    assert [each.baseline for each in found] == best
    gained = [round(each.estimate.mean, 9) for each in found]
    assert gained == [0.2] * 3 + [0.1] * 3 + [-0.1] * 3


def test_reciprocal_ranks_add_up_and_what_has_no_score_has_no_rank() -> None:
    fused = reciprocal_ranks(np.array([0.9, 0.5, 0.1]), np.array([0.0, 3.0, 0.0]), k=2)
    assert fused == pytest.approx([1 / 3, 1 / 4 + 1 / 3, 1 / 5])


def test_scaled_scores_run_from_the_last_cosine_and_from_zero_words() -> None:
    fused = scaled_sum(np.array([0.9, 0.5, 0.1]), np.array([0.0, 4.0, 2.0]))
    assert fused == pytest.approx([1.0, 0.5 + 1.25, 0.625])


def test_a_default_benchmark_that_is_not_there_is_left_out_in_one_line(
    corpus: Path, questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Benchmark(name="here", questions=questions, corpus=corpus)
    gone = here.model_copy(update={"name": "gone", "corpus": corpus / "gone"})
    assert list(bench_retrieval.available([gone, here])) == [here]
    assert capsys.readouterr().err.startswith("gone: left out, there is no ")


def test_without_any_benchmark_the_script_prints_nothing(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tools.bench_retrieval", "--json", "out.json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == ""
    assert ended.stderr.count("left out") == 2
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8")) == []
