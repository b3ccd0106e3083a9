"""The `twin` command: results on stdout, one line per error, exit codes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from llm_engineering.application.clean import clean
from llm_engineering.application.windows import DENSE_WINDOWS, SPARSE_WINDOWS
from llm_engineering.bootstrap import App, open_app
from llm_engineering.domain.documents import Document
from llm_engineering.settings import Settings
from tests.unit.serving import NOTES, QUESTION, indexed_app, memory_app, publish
from tests.unit.writing import NOW, document
from tools import ask, documents, search
from tools.cli import COMMANDS, main

ROOT = Path(__file__).parents[2]
EVIL = "[bold]A[/bold]\x1b[31m note\u202e\nof two lines\ttab"


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def error(self) -> str:
        """The one line on stderr of a command that failed."""
        assert (self.code, self.out) == (1, "")
        assert self.err.startswith("twin: error: ")
        assert self.err.count("\n") == 1
        return self.err.removeprefix("twin: error: ").rstrip("\n")


Twin = Callable[..., Outcome]

LEGS = [*DENSE_WINDOWS, *SPARSE_WINDOWS]


@pytest.fixture
def twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Twin:
    """Runs `twin` in an empty folder with nothing set but TWIN_HOME."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """stdout is a colour terminal of 100 columns."""
    # By class: pytest puts another object of it in place before the test is called.
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda stream: stream is sys.stdout)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def keep(*given: Document) -> None:
    with open_app() as app:
        app.documents.put(given)


@pytest.fixture
def three(twin: Twin) -> list[Document]:
    """Three documents in the store, oldest first, the first without a date."""
    made = [
        document("# One\n\nFirst.\n", url="https://ada.example/1", title="One", source="feed:x"),
        document(
            "Second.",
            url="https://ada.example/2",
            title="Two",
            published_at=datetime(2023, 5, 6, tzinfo=UTC),
        ),
        document(
            "Third.",
            url="https://ada.example/3",
            title="Three",
            published_at=datetime(2024, 2, 29, tzinfo=UTC),
        ),
    ]
    keep(*made)
    return made


def raising(error: BaseException) -> Callable[[], Any]:
    @contextmanager
    def broken() -> Iterator[App]:
        raise error
        yield

    return broken


def answering_from(app: App) -> Callable[[], Any]:
    @contextmanager
    def opened(_: Settings | None = None) -> Iterator[App]:
        yield app

    return opened


# the command as a whole


def test_help_lists_every_command(twin: Twin) -> None:
    outcome = twin("--help")
    assert outcome.code == 0
    for name, entry in COMMANDS.items():
        assert f"  {name} " in outcome.out
        assert entry.help in " ".join(outcome.out.split())


def test_the_version_is_that_of_the_package(twin: Twin) -> None:
    assert twin("--version").out == "twin 0.1.0\n"


def test_an_unknown_command_is_a_usage_error_that_names_close_ones(twin: Twin) -> None:
    outcome = twin("serch")
    assert (outcome.code, outcome.out) == (2, "")
    assert "search" in outcome.err


def test_an_unknown_option_is_a_usage_error(twin: Twin) -> None:
    assert twin("documents", "list", "--colour").code == 2


def test_a_misspelled_setting_is_one_line_and_exit_code_1(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWIN_API__PROT", "1")
    assert twin("documents", "list").error() == (
        "unknown setting TWIN_API__PROT; did you mean TWIN_API__PORT?"
    )


def test_an_unexpected_error_is_one_line_that_leads_to_the_traceback(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "open_app", raising(RuntimeError("two\nlines\x1b[2J")))
    assert twin("documents", "list").error() == (
        "RuntimeError: two lines\\x1b[2J; run 'twin -v ...' again for the traceback"
    )


def test_verbose_shows_the_traceback(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "open_app", raising(RuntimeError("broken")))
    outcome = twin("-v", "documents", "list")
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    assert "RuntimeError: broken" in outcome.err


def test_an_invalid_value_is_reported_without_the_value(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Login(BaseModel):
        password: int

    with pytest.raises(ValueError, match="password") as caught:
        Login.model_validate({"password": "hunter2"})
    monkeypatch.setattr(documents, "open_app", raising(caught.value))
    error = twin("documents", "list").error()
    assert "Login: password: Input should be a valid integer" in error
    assert "hunter2" not in error


def test_ctrl_c_ends_quietly(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "open_app", raising(KeyboardInterrupt()))
    outcome = twin("documents", "list")
    assert (outcome.code, outcome.out, outcome.err.strip()) == (130, "", "")


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        ended = subprocess.run(
            [sys.executable, "-m", "tools.cli", "settings", "show", "--json"],
            cwd=ROOT,
            env={**os.environ, "TWIN_HOME": str(tmp_path)},
            stdout=gone,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, b"")


# documents


def test_documents_are_listed_newest_first_between_tabs(twin: Twin, three: list[Document]) -> None:
    rows = twin("documents", "list").rows
    assert [row[0] for row in rows] == [document.id for document in reversed(three)]
    assert rows[0] == [
        three[2].id,
        "2024-02-29",
        "note",
        "Three",
        "Ada",
        "files:notes",
        "https://ada.example/3",
    ]


def test_documents_as_json_are_one_array_with_iso_dates(twin: Twin, three: list[Document]) -> None:
    listed = twin("documents", "list", "--json").json
    assert [each["title"] for each in listed] == ["Three", "Two", "One"]
    assert datetime.fromisoformat(listed[0]["published_at"]) == three[2].published_at


@pytest.mark.parametrize(
    ("options", "titles"),
    [
        (["--limit", "1"], ["Three"]),
        (["--source", "feed:x"], ["One"]),
        (["--since", "2024"], ["Three"]),
        (["--since", "2023-05"], ["Three", "Two"]),
        (["--before", "2024-02-29"], ["Two"]),
        (["--before", "2024-02-29T00:00:01+00:00"], ["Three", "Two"]),
        (["--kind", "article"], []),
        (["--kind", "article", "--kind", "note"], ["Three", "Two", "One"]),
        (["--author", "Grace"], []),
        (["--tag", "x"], []),
    ],
)
def test_documents_can_be_filtered(
    twin: Twin, three: list[Document], options: list[str], titles: list[str]
) -> None:
    assert [row[3] for row in twin("documents", "list", *options).rows] == titles


@pytest.mark.parametrize("value", ["yesterday", "2024-13", "2024-02-30", ""])
def test_a_date_that_is_none_is_a_usage_error(twin: Twin, value: str) -> None:
    outcome = twin("documents", "list", "--since", value)
    assert outcome.code == 2
    assert "is not a date; write 2024, 2024-03 or 2024-03-01" in outcome.err


def test_an_empty_store_lists_nothing_and_says_what_to_do(twin: Twin) -> None:
    outcome = twin("documents", "list")
    assert (outcome.code, outcome.out) == (0, "")
    assert "twin run etl" in outcome.err
    assert twin("documents", "list", "--json").json == []


def test_a_title_cannot_break_a_row_or_reach_the_terminal(twin: Twin) -> None:
    keep(document("x", title=EVIL))
    (row,) = twin("documents", "list").rows
    assert row[3] == "[bold]A[/bold]\\x1b[31m note\\u202e of two lines tab"


@pytest.mark.usefixtures("terminal")
def test_a_title_is_no_markup_on_a_terminal(twin: Twin) -> None:
    keep(document("x", title=EVIL))
    shown = twin("documents", "list").out
    assert "[bold]A[/bold]\\x1b[31m" in shown
    assert "\x1b[31m" not in shown
    assert "\u202e" not in shown


def test_a_title_comes_through_json_unchanged(twin: Twin) -> None:
    keep(document("x", title=EVIL))
    outcome = twin("documents", "list", "--json")
    assert outcome.json[0]["title"] == EVIL
    assert not {"\x1b", "\u202e"} & set(outcome.out)


@pytest.mark.usefixtures("terminal")
def test_a_terminal_gets_a_table_with_short_ids(twin: Twin, three: list[Document]) -> None:
    shown = twin("documents", "list").out
    assert "\x1b[1m" in shown, "the header is bold"
    assert three[0].id[:8] in shown
    assert three[0].id not in shown


@pytest.mark.usefixtures("terminal")
def test_no_color_is_respected(
    twin: Twin, three: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b[2m" in twin("settings", "show").out
    assert "36m" in twin("settings", "show").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "36m" not in twin("settings", "show").out


def test_a_document_is_shown_cleaned_by_a_unique_beginning_of_its_id(
    twin: Twin, three: list[Document]
) -> None:
    for length in (36, 35, 12):
        outcome = twin("documents", "show", three[0].id[:length])
        assert outcome.out.strip() == clean(three[0]).text.strip()
        assert "https://ada.example/1" in outcome.err


def test_raw_text_comes_out_to_the_character(twin: Twin) -> None:
    text = "  A\u2028line\x1b[31m of mine\r\n\r\nand more\t\n"
    keep(kept := document(text))
    assert twin("documents", "show", "--raw", kept.id).out == text


@pytest.mark.usefixtures("terminal")
def test_raw_text_is_made_harmless_for_a_terminal(twin: Twin) -> None:
    keep(kept := document("one\x1b[31m\n\ttwo"))
    assert twin("documents", "show", "--raw", kept.id).out == "one\\x1b[31m\n\ttwo\n"


def test_a_document_as_json_has_its_text(twin: Twin, three: list[Document]) -> None:
    shown = twin("documents", "show", "--raw", "--json", three[0].id).json
    assert Document.model_validate(shown) == three[0]


def test_an_ambiguous_id_names_the_candidates(twin: Twin) -> None:
    made = [document("x", url=f"https://ada.example/{number}") for number in range(17)]
    keep(*made)
    shared = next(d.id[0] for d in made if sum(e.id[0] == d.id[0] for e in made) > 1)
    assert "give more of it" in twin("documents", "show", shared).error()


@pytest.mark.parametrize("options", [[], ["--raw"], ["--revisions"]])
def test_an_unknown_id_is_one_line(twin: Twin, options: list[str]) -> None:
    assert "no document 'zzz'" in twin("documents", "show", "zzz", *options).error()


def test_an_empty_id_is_refused(twin: Twin, three: list[Document]) -> None:
    assert "the id is empty" in twin("documents", "show", "").error()


def test_revisions_are_listed_oldest_first_even_of_a_removed_document(twin: Twin) -> None:
    keep(document("old"))
    keep(kept := document("older"))
    with open_app() as app:
        app.documents.remove([kept.id], at=NOW)
    rows = twin("documents", "show", "--revisions", kept.id).rows
    assert [(row[0], row[2]) for row in rows] == [("1", "3"), ("2", "5")]
    assert rows[-1][4] == NOW.isoformat()
    as_json = twin("documents", "show", "--revisions", "--json", kept.id).json
    assert [each["text"] for each in as_json] == ["old", "older"]


def test_what_was_exported_can_be_imported(
    twin: Twin, three: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "all.jsonl"
    assert twin("documents", "export", str(file)).err == "exported 3 documents\n"
    assert file.read_text(encoding="utf-8") == twin("documents", "export").out
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "other"))
    assert twin("documents", "import", str(file)).out == "3 new, 0 changed, 0 unchanged\n"
    assert twin("documents", "import", str(file)).out == "0 new, 0 changed, 3 unchanged\n"
    assert {row[0] for row in twin("documents", "list").rows} == {each.id for each in three}


def test_an_export_can_be_filtered(twin: Twin, three: list[Document]) -> None:
    (line,) = twin("documents", "export", "--source", "feed:x").out.splitlines()
    assert json.loads(line)["id"] == three[0].id


def test_an_export_that_fails_leaves_the_old_file_alone(
    twin: Twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Iterator[str]:
        yield "{}"
        raise RuntimeError("broken")

    file = tmp_path / "all.jsonl"
    file.write_text("precious", encoding="utf-8")
    monkeypatch.setattr(documents, "export_documents", broken)
    assert twin("documents", "export", str(file)).code == 1
    assert file.read_text(encoding="utf-8") == "precious"
    assert list(tmp_path.glob(".all.jsonl*")) == []


def test_an_export_into_a_pipe_writes_into_it(
    twin: Twin, three: list[Document], tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert twin("documents", "export", str(pipe)).code == 0
        assert os.read(reader, 1_000_000).count(b"\n") == 3
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_an_export_into_a_folder_that_is_not_there_is_one_line(twin: Twin) -> None:
    assert "cannot write no/where.jsonl" in twin("documents", "export", "no/where.jsonl").error()


def test_a_file_that_is_not_there_is_one_line(twin: Twin) -> None:
    assert "no file gone.jsonl" in twin("documents", "import", "gone.jsonl").error()


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b"{", b"[]", b'{"id": 1}'])
def test_a_bad_line_is_named_and_what_came_before_is_kept(
    twin: Twin, three: list[Document], tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_bytes(twin("documents", "export").out.encode() + content + b"\n")
    assert "line 4" in twin("documents", "import", str(file)).error()
    assert len(twin("documents", "list").rows) == 3


# search and ask


@pytest.fixture
def indexed(monkeypatch: pytest.MonkeyPatch, twin: Twin) -> None:
    """`search` and `ask` work over NOTES in memory."""
    app = indexed_app()
    for command in (search, ask):
        monkeypatch.setattr(command, "open_app", answering_from(app))


@pytest.mark.usefixtures("indexed")
def test_a_search_prints_one_row_per_passage_best_first(twin: Twin) -> None:
    rows = twin("search", QUESTION).rows
    assert rows[0][1:] == [
        "2024-03-01",
        "Note 0",
        "https://ada.example/0",
        "Note 0",
        NOTES[0],
    ]
    scores = [float(row[0]) for row in rows]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.usefixtures("indexed")
def test_a_search_can_be_limited_and_filtered(twin: Twin) -> None:
    assert len(twin("search", QUESTION, "--limit", "1").rows) == 1
    found = twin("search", QUESTION, "--since", "2024-03-02").rows
    assert found
    assert NOTES[0] not in {row[5] for row in found}


@pytest.mark.usefixtures("indexed")
def test_explain_says_where_each_list_placed_a_passage(twin: Twin) -> None:
    best = twin("search", QUESTION, "--explain").rows[0]
    assert [said.split(" (")[0] for said in best[-1].split(", ")] == [f"{leg} #1" for leg in LEGS]


@pytest.mark.usefixtures("indexed")
def test_a_search_as_json_holds_passages_their_best_sentence_and_ranks(twin: Twin) -> None:
    best = twin("search", QUESTION, "--json").json[0]
    assert best["passage"]["text"] == NOTES[0]
    assert best["best"] == [0, len(NOTES[0])]
    assert [rank["leg"] for rank in best["hit"]["ranks"]] == LEGS


@pytest.mark.usefixtures("indexed", "terminal")
def test_a_search_on_a_terminal_shows_title_address_and_text(twin: Twin) -> None:
    shown = twin("search", QUESTION, "--explain").out
    for said in ("1. Note 0", "https://ada.example/0", NOTES[0], "t1 #1"):
        assert said in shown


@pytest.mark.usefixtures("indexed")
def test_a_search_that_finds_nothing_says_so(twin: Twin) -> None:
    outcome = twin("search", QUESTION, "--author", "Nobody")
    assert (outcome.code, outcome.out) == (0, "")
    assert "nothing matches" in outcome.err


@pytest.mark.usefixtures("indexed", "terminal")
def test_a_terminal_shows_a_long_passage_around_its_best_sentence(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = "Nothing of interest was said here. " * 20
    app = memory_app()
    publish(app, f"{fill}{NOTES[0]} {fill}", cut=(len(fill), len(fill) + len(NOTES[0])))
    monkeypatch.setattr(search, "open_app", answering_from(app))
    shown = " ".join(twin("search", QUESTION).out.split())
    assert NOTES[0] in shown
    assert shown.count("…") == 2
    assert len(shown) < 500


@pytest.mark.usefixtures("indexed")
def test_a_config_decides_how_a_search_ranks(twin: Twin, tmp_path: Path) -> None:
    file = tmp_path / "rag.yaml"
    file.write_text("retrieval:\n  dense_weight: 0\n  sparse_weight: 2\n", encoding="utf-8")
    plain = twin("search", QUESTION, "--json").json
    by_words = twin("search", QUESTION, "-c", str(file), "--json").json
    assert by_words[0]["passage"]["text"] == NOTES[0]
    assert by_words[0]["hit"]["score"] != plain[0]["hit"]["score"]
    assert {each["hit"]["score"] for each in by_words[1:]} == {0.0}


@pytest.mark.usefixtures("indexed")
def test_a_search_for_an_author_who_is_not_held_says_so(twin: Twin, tmp_path: Path) -> None:
    file = tmp_path / "rag.yaml"
    file.write_text("stages:\n  self_query: true\n", encoding="utf-8")
    asked = "What did Grace Hopper write about backups?"
    outcome = twin("search", asked, "-c", str(file))
    assert (outcome.code, outcome.out) == (0, "")
    assert "'Grace Hopper'" in outcome.err
    assert "Ada Lovelace" in outcome.err
    assert twin("search", asked, "-c", str(file), "--json").json == []
    assert twin("search", asked).rows


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("command", ["search", "ask"])
@pytest.mark.parametrize("question", ["", "  \n", "x" * 1_000_000])
def test_an_empty_or_endless_question_is_one_line(twin: Twin, command: str, question: str) -> None:
    assert len(twin(command, question).error()) < 200


@pytest.mark.parametrize("command", ["search", "ask"])
def test_asking_before_anything_was_indexed_is_one_line(
    twin: Twin, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for module in (search, ask):
        monkeypatch.setattr(module, "open_app", answering_from(memory_app()))
    assert "twin run" in twin(command, QUESTION).error()


@pytest.mark.usefixtures("indexed")
def test_an_answer_is_followed_by_numbered_citations(twin: Twin) -> None:
    lines = twin("ask", QUESTION).out.splitlines()
    assert NOTES[0] in lines[0]
    at = lines.index("[1] Note 0 (2024-03-01)")
    assert lines[at + 1 : at + 3] == [
        f"    https://ada.example/0 characters 0-{len(NOTES[0])}",
        f"    “{NOTES[0]}”",
    ]


@pytest.mark.usefixtures("indexed")
def test_sources_adds_the_evidence(twin: Twin) -> None:
    assert "Evidence: " not in twin("ask", QUESTION).out
    assert "Note 0 (characters 0-" in twin("ask", QUESTION, "--sources").out


@pytest.mark.usefixtures("indexed")
def test_weak_evidence_is_said_plainly_and_cites_nothing(twin: Twin) -> None:
    outcome = twin("ask", "zyx wvu tsr?")
    assert outcome.code == 0
    assert "[1]" not in outcome.out
    assert "the evidence found is too weak" in outcome.err
    assert twin("ask", "zyx wvu tsr?", "--json").json["abstained"] is True


@pytest.mark.usefixtures("indexed")
def test_an_answer_as_json_holds_everything(twin: Twin) -> None:
    given = twin("ask", QUESTION, "--json").json
    assert given["citations"][0]["quote"] == NOTES[0]
    assert given["timings_ms"]["total"] > 0


@pytest.mark.usefixtures("indexed")
def test_a_config_decides_when_to_abstain(twin: Twin, tmp_path: Path) -> None:
    file = tmp_path / "rag.yaml"
    file.write_text("min_evidence: 1.0\n", encoding="utf-8")
    assert twin("ask", QUESTION, "-c", str(file), "--json").json["abstained"] is True


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("command", ["search", "ask"])
def test_a_misspelled_key_of_a_config_is_one_line(twin: Twin, tmp_path: Path, command: str) -> None:
    file = tmp_path / "rag.yaml"
    file.write_text("min_evidense: 1.0\n", encoding="utf-8")
    assert "min_evidence" in twin(command, QUESTION, "-c", str(file)).error()


# settings


def test_settings_show_value_default_and_origin(
    twin: Twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("TWIN_API__HOST=::1\n", encoding="utf-8")
    monkeypatch.setenv("TWIN_API__PORT", "9999")
    rows = {row[0]: row[1:] for row in twin("settings", "show").rows}
    assert rows["TWIN_API__PORT"] == ["9999", "8080", "environment"]
    assert rows["TWIN_API__HOST"] == ["::1", "127.0.0.1", ".env"]
    assert rows["TWIN_API__WORKERS"] == ["8", "8", "default"]
    assert rows["TWIN_DOCUMENTS__URI"] == ["", "mongodb://127.0.0.1:27017", "for kind mongo"]


def test_settings_show_hides_secrets(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "TWIN_DOCUMENTS__KIND": "mongo",
        "TWIN_DOCUMENTS__URI": "mongodb://ada:hunter2@h",
        "TWIN_VECTORS__KIND": "qdrant",
        "TWIN_VECTORS__URL": "http://ada:hunter2@h:1",
        "TWIN_VECTORS__API_KEY": "hunter2",
    }.items():
        monkeypatch.setenv(name, value)
    for options in ([], ["--json"]):
        assert "hunter2" not in twin("settings", "show", *options).out
    shown = {row["name"]: row for row in twin("settings", "show", "--json").json}
    assert shown["TWIN_DOCUMENTS__KIND"]["default"] == "sqlite"
    assert shown["TWIN_VECTORS__API_KEY"]["value"] == "**********"
    assert shown["TWIN_VECTORS__URL"]["value"] == "http://**********@h:1"


def test_settings_check_tells_good_from_bad(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    assert twin("settings", "check").code == 0
    monkeypatch.setenv("TWIN_API__PORT", "0")
    assert "TWIN_API__PORT='0'" in twin("settings", "check").error()
