"""`twin eval multihop` over real files, crawled and indexed."""

import json
from pathlib import Path

import pytest

from tools.cli import main

HEADER = "id,question,kind,document_1,evidence_1,document_2,evidence_2,answer\n"
ASKED = "How is the flea caught, and which salt preserves the otter? Tell both."


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for topic in ("fleas", "otters", "tides"):
        text = f"# About {topic}\n\nThis note tells of {topic}. It is the only one on {topic}."
        (folder / f"{topic}.md").write_text(text, encoding="utf-8")
    return folder


def evaluated(
    *more: str, corpus: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    code = main(["eval", "multihop", "--questions", str(file), "--corpus", str(corpus), *more])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "two.csv"
    rows = [
        f'm{n:02},"{ASKED}",combination,fleas.md,tells of fleas.,otters.md,tells of otters.,x\n'
        for n in (1, 2)
    ]
    path.write_text(HEADER + "".join(rows), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def _hashed_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TWIN_EMBEDDER__KIND", "hash")
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))


def test_the_report_tells_of_one_half_what_each_way_finds(
    corpus: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = evaluated("--json", "--half", "fit", corpus=corpus, file=file, capsys=capsys)
    assert code == 0, err
    report = json.loads(out)
    assert (report["questions"], report["unlocated"], report["half"]) == (1, 0, "fit")
    assert report["searches"] == 2
    assert [each["budget"] for each in report["budgets"]] == [1500, 2700, 5500]
    assert all(each["whole_single"] == each["whole_several"] == 1 for each in report["budgets"])


def test_the_config_says_how_many_searches_there_may_be(
    corpus: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "rag.yaml"
    config.write_text("agentic:\n  mode: terms\n  max_searches: 1\n", encoding="utf-8")
    code, out, err = evaluated(
        "--half", "all", "-c", str(config), corpus=corpus, file=file, capsys=capsys
    )
    assert code == 0, err
    assert "2 questions (all): 1.00 searches each, 100 % of 2 stayed at one" in " ".join(
        out.split()
    )


def test_a_file_that_is_not_there_is_told(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = evaluated(corpus=corpus, file=tmp_path / "no.csv", capsys=capsys)
    assert code != 0
    assert "name a .csv, .json or .jsonl of questions" in err
