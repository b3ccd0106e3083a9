"""The doctor survives whatever it looks at, and fails only for what is needed."""

import importlib.metadata
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_engineering.bootstrap import App
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter, DocumentHead
from llm_engineering.domain.errors import BackendUnavailable, IndexMismatch
from llm_engineering.infrastructure.hash_embedder import HashEmbedder
from llm_engineering.settings import Settings, load_settings
from tests.unit.serving import indexed_app, memory_app
from tests.unit.writing import document
from tools import checks, doctor
from tools.checks import Check, Finding, Status, all_checks, examine
from tools.cli import main
from tools.extras import needed_extras

OK = Finding(Status.OK, "fine")


def settings_of(**environ: str) -> Settings:
    return load_settings(environ, env_file=Path("absent.env"))


def look(name: str, app: App) -> Finding:
    (check,) = (check for check in all_checks(app.settings) if check.name == name)
    return examine(check, app)


def failing(error: Exception, *, needed: bool) -> Finding:
    def broken(_: App) -> Finding:
        raise error

    return examine(Check("x", broken, needed=needed), memory_app())


class Down:
    """A document store whose server is gone."""

    def heads(self, where: DocumentFilter = EVERYTHING) -> Iterator[DocumentHead]:
        raise BackendUnavailable("no MongoDB at h:1; start it with 'make up'")


@pytest.fixture(autouse=True)
def _nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch and the hub's client are not there."""
    monkeypatch.setattr(checks, "find_spec", lambda _: None)


def test_an_error_of_ours_becomes_what_and_fix() -> None:
    error = BackendUnavailable("no MongoDB at h:1; start it with 'make up'")
    assert failing(error, needed=True) == Finding(
        Status.FAIL, "no MongoDB at h:1", "start it with 'make up'"
    )


def test_any_other_error_becomes_a_row_too() -> None:
    assert failing(ZeroDivisionError("oh"), needed=True) == Finding(
        Status.FAIL, "ZeroDivisionError: oh"
    )


def test_what_is_not_needed_only_warns() -> None:
    assert failing(ZeroDivisionError("oh"), needed=False).status is Status.WARN
    assert failing(BackendUnavailable("oh"), needed=False).status is Status.WARN


@pytest.mark.parametrize(
    ("environ", "extras"),
    [
        ({}, {"edge", "embed"}),
        ({"TWIN_DOCUMENTS__KIND": "mongo"}, {"mongo", "edge", "embed"}),
        ({"TWIN_VECTORS__KIND": "qdrant"}, {"qdrant", "embed"}),
        ({"TWIN_EMBEDDER__KIND": "sentence-transformers"}, {"edge", "torch"}),
        ({"TWIN_VECTORS__KIND": "memory", "TWIN_EMBEDDER__KIND": "hash"}, set()),
        ({"TWIN_EXPERIMENTS__KIND": "comet"}, {"edge", "embed", "comet"}),
        ({"TWIN_API__MCP": "true"}, {"edge", "embed", "mcp"}),
        (
            {
                "TWIN_JOBS__KIND": "sagemaker",
                "TWIN_JOBS__ROLE": "r",
                "TWIN_JOBS__IMAGE": "i",
                "TWIN_JOBS__BUCKET": "b",
            },
            {"edge", "embed", "aws"},
        ),
    ],
)
def test_the_settings_decide_which_extras_are_needed(
    environ: dict[str, str], extras: set[str]
) -> None:
    assert set(needed_extras(settings_of(**environ))) == extras


def test_a_missing_extra_names_its_packages_and_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        importlib.metadata,
        "requires",
        lambda _: [
            "click>=8",
            'no-such-package<2,>=1; extra == "mongo"',
            'pydantic>=2; extra == "mongo"',
            'no-other-package; extra == "qdrant"',
        ],
    )
    app = App(settings_of(TWIN_DOCUMENTS__KIND="mongo"))
    assert look("extra mongo", app) == Finding(
        Status.FAIL, "not installed: no-such-package", "pip install 'llm-twin[mongo]'"
    )
    assert look("extra qdrant", app).status is Status.WARN


def test_a_home_that_is_a_file_is_a_failure_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("", encoding="utf-8")
    found = look("home", App(settings_of(TWIN_HOME=str(tmp_path / "home"))))
    assert found.status is Status.FAIL
    assert "TWIN_HOME" in found.fix


def test_a_home_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    found = look("home", App(settings_of(TWIN_HOME=str(tmp_path / "a" / "b"))))
    assert found.status in (Status.OK, Status.WARN), "WARN when the disk is nearly full"
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_documents_are_counted_by_kind() -> None:
    app = memory_app()
    assert look("documents", app).status is Status.WARN
    app.documents.put([document("x"), document("y", url="https://ada.example/y")])
    assert look("documents", app) == Finding(Status.OK, "memory: 2 documents (2 note)")


def test_a_store_that_is_down_is_a_failure_with_its_fix() -> None:
    found = look("documents", memory_app(documents=Down()))
    assert (found.status, found.fix) == (Status.FAIL, "start it with 'make up'")


def test_an_index_that_is_not_there_yet_is_a_warning() -> None:
    found = look("index", memory_app())
    assert found.status is Status.WARN
    assert "twin run" in found.detail + found.fix


def test_an_index_is_described() -> None:
    app = indexed_app()
    assert look("index", app).detail == f"memory: version {app.index.version()}, 3 sentences"


def test_an_index_of_another_embedder_is_a_failure() -> None:
    class Mismatched:
        def manifest(self) -> None:
            raise IndexMismatch("made by 'a', settings say 'b'; run it again")

    assert look("index", memory_app(index=Mismatched())).status is Status.FAIL


def test_the_embedder_is_described() -> None:
    app = memory_app()
    assert look("embedder", app).detail.startswith(f"{app.embedder.name}, 64 dimensions")


def test_what_the_embedder_found_out_is_told_with_its_reason() -> None:
    class Detected(HashEmbedder):
        device = "cpu"
        precision = SimpleNamespace(name="bf16", reason="the CPU has it")

    detail = look("embedder", memory_app(embedder=Detected(dimension=64))).detail
    assert detail.endswith("tokens, device cpu, precision bf16 (the CPU has it)")


def test_where_training_runs_is_looked_at(tmp_path: Path) -> None:
    found = look("jobs", App(settings_of(TWIN_HOME=str(tmp_path))))
    assert found == Finding(Status.OK, f"processes of this machine, in {tmp_path / 'runs'}")


def test_a_place_to_train_that_is_not_set_up_is_a_failure_with_a_fix() -> None:
    app = App(
        settings_of(
            TWIN_JOBS__KIND="sagemaker",
            TWIN_JOBS__ROLE="TwinTraining",
            TWIN_JOBS__IMAGE="twin-train",
            TWIN_JOBS__BUCKET="twin",
        )
    )
    found = look("jobs", app)
    assert found.status is Status.FAIL
    assert (found.detail, "TWIN_JOBS__ROLE" in found.fix) == ("'TwinTraining' is no role", True)


def test_cuda_is_looked_for_only_where_torch_is() -> None:
    assert look("cuda", memory_app()).status is Status.OK


def test_vllm_is_looked_for_and_needed_only_where_it_answers(tmp_path: Path) -> None:
    there = tmp_path / "vllm"
    there.touch(mode=0o755)
    chosen = {"TWIN_CHAT__KIND": "vllm", "TWIN_CHAT__COMMAND": str(there)}
    assert look("vllm", App(settings_of(**chosen))) == Finding(Status.OK, str(there))
    there.unlink()
    gone = look("vllm", App(settings_of(**chosen)))
    assert (gone.status, gone.fix) == (Status.FAIL, "correct TWIN_CHAT__COMMAND")
    others = {check.name: check.needed for check in all_checks(settings_of())}
    assert others["vllm"] is False


def test_a_server_that_is_not_running_is_a_warning_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> tuple[int, bytes]:
        raise ConnectionRefusedError

    monkeypatch.setattr(checks, "_get", refused)
    assert look("api", memory_app()).fix == "twin serve"
    assert look("dashboard", memory_app()).fix == "twin stack up"


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ((200, b'{"status": "alive", "version": "0.1.0"}'), Status.OK, "version 0.1.0"),
        ((200, b"<html>"), Status.WARN, "something else answers"),
        ((404, b"[]"), Status.WARN, "something else answers"),
    ],
)
def test_the_api_is_told_from_something_else(
    monkeypatch: pytest.MonkeyPatch, answer: tuple[int, bytes], status: Status, said: str
) -> None:
    monkeypatch.setattr(checks, "_get", lambda *_: answer)
    found = look("api", memory_app())
    assert found.status is status
    assert said in found.detail


def run_doctor(
    found: dict[str, Finding],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[int, Any]:
    """Exit code and JSON of a doctor whose checks find `found`."""

    @contextmanager
    def opened(_: Settings) -> Iterator[App]:
        yield memory_app()

    def given(_: Settings) -> Iterator[Check]:
        for name, finding in found.items():
            yield Check(name, lambda _, finding=finding: finding, needed=True)  # type: ignore[misc]

    monkeypatch.setattr(doctor, "open_app", opened)
    monkeypatch.setattr(doctor, "all_checks", given)
    code = main(["doctor", "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_warnings_leave_the_exit_code_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"a": OK, "b": Finding(Status.WARN, "off", "turn it on")}
    code, said = run_doctor(found, monkeypatch, capsys)
    assert (code, said["ok"]) == (0, True)
    assert {"name": "b", "status": "warn", "detail": "off", "fix": "turn it on"} in said["checks"]


def test_a_failure_makes_the_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run_doctor({"a": OK, "b": Finding(Status.FAIL, "gone")}, monkeypatch, capsys)
    assert (code, said["ok"]) == (1, False)


def test_settings_that_cannot_be_read_are_the_one_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWIN_API__PROT", "1")
    assert main(["doctor", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["checks"]
    assert row == {
        "name": "settings",
        "status": "fail",
        "detail": "unknown setting TWIN_API__PROT",
        "fix": "did you mean TWIN_API__PORT?",
    }
