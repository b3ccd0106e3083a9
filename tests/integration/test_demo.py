"""The demo really goes the whole way, and leaves nothing running."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from llm_engineering.domain.errors import InvalidInput, NotFound
from tools.corpus import source_entry

NOTES = {
    "tea.md": "# How I make green tea\n\nI don't boil it: water of 80 degrees keeps it sweet.",
    "bikes.md": "# Why I ride steel\n\nA steel frame outlives its rider, and it's easy to mend.",
    "bread.md": "# What sourdough taught me\n\nPatience isn't a virtue here; it's an ingredient.",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in NOTES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def run_demo(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "TWIN_HOME": str(home),
        "TWIN_PROGRESS": "off",
        "TWIN_API__PORT": str(free_port()),
    }
    command = [sys.executable, "-c", "import sys, tools.cli; sys.exit(tools.cli.main())", "demo"]
    return subprocess.run(
        [*command, *arguments],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def test_three_questions_are_answered_with_citations_and_all_is_stopped(
    tmp_path: Path, notes: Path
) -> None:
    done = run_demo(tmp_path / "home", "--corpus", str(notes))
    assert done.returncode == 0, done.stderr
    assert "3 documents read (3 new" in done.stdout
    for title in ("How I make green tea", "Why I ride steel", "What sourdough taught me"):
        assert title in done.stdout
    for note in notes.iterdir():
        assert note.as_uri() in done.stdout
    assert "question 3 over REST" in done.stdout
    assert "from quotes, since no version of the twin is in production" in done.stderr
    streamed = done.stdout.partition("Streamed: ")[2]
    assert "“" in streamed
    assert "streamed answer" in streamed
    through_the_page = done.stdout.partition("Through the page: ")[2]
    assert "“" in through_the_page
    assert "[1] " in done.stderr
    last = done.stdout.rstrip().splitlines()[-1]
    assert re.fullmatch(r"the page, after 'make serve': http://127\.0\.0\.1:\d+/", last)
    assert not (tmp_path / "home" / "run" / "api.json").exists()


def test_a_corpus_that_does_not_exist_is_one_clear_line(tmp_path: Path) -> None:
    done = run_demo(tmp_path / "home", "--corpus", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f"twin: error: no such folder or file: '{tmp_path / 'nowhere'}'; check CORPUS"
    ]


def test_a_folder_is_a_files_source(notes: Path) -> None:
    assert source_entry(str(notes)) == {"kind": "files", "path": str(notes)}


def test_what_is_neither_folder_nor_address_is_refused() -> None:
    with pytest.raises(InvalidInput, match="neither a folder nor"):
        source_entry("ftp://ada.example/notes")
    with pytest.raises(NotFound, match="no such folder or file"):
        source_entry("nowhere/at/all")
