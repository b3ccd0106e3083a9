"""`twin keys`: made once, shown once, worthless once revoked."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llm_engineering.domain.access import digest_of, without_keys
from llm_engineering.settings import load_settings
from tools.cli import main
from tools.keys import own_key


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """stdout and stderr of a command that succeeds."""
    capsys.readouterr()
    assert main(["keys", *arguments]) == 0
    out, err = capsys.readouterr()
    return out, err


def error(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that fails."""
    capsys.readouterr()
    assert main(["keys", *arguments]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def test_a_key_is_printed_alone_and_is_in_no_file(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = said(capsys, "create", "laptop")
    key = out.removesuffix("\n")

    assert re.fullmatch(r"twin-[A-Za-z0-9_-]{43}", key)
    assert "laptop (id " in err
    assert "may ask" in err
    assert key not in err
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"keys.db", "audit.jsonl"}
    for path in files:
        assert key.removeprefix("twin-").encode() not in path.read_bytes(), path
    assert any(digest_of(key.encode()).encode() in path.read_bytes() for path in files)


def test_every_key_is_another(capsys: pytest.CaptureFixture[str]) -> None:
    made = {said(capsys, "create", f"laptop {number}")[0] for number in range(20)}

    assert len(made) == 20


def test_what_a_key_is_for_and_how_long_is_listed_without_the_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = datetime.now(UTC)
    limits = ["--requests-per-minute", "30", "--answers", "2"]
    made = json.loads(
        said(
            capsys,
            *("create", "phone", "--scope", "feedback", "--scope", "ask", "--expires", "90d"),
            *limits,
            "--json",
        )[0]
    )
    (listed,) = json.loads(said(capsys, "list", "--json")[0])
    row = said(capsys, "list")[0].rstrip("\n").split("\t")

    assert made.keys() - listed.keys() == {"key"}
    assert "digest" not in listed
    assert listed["scopes"] == ["feedback", "ask"]
    ends = datetime.fromisoformat(listed["expires_at"])
    assert abs(ends - before - timedelta(days=90)) < timedelta(minutes=1)
    assert row[:4] == [made["id"], "phone", "feedback, ask", "live"]
    assert row[-1] == "30 requests a minute, 2 answers"


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_key_is_revoked_by_name_or_id_and_stays_in_the_list(
    capsys: pytest.CaptureFixture[str], by: str
) -> None:
    made = json.loads(said(capsys, "create", "laptop", "--json")[0])
    said(capsys, "create", "phone")

    assert said(capsys, "revoke", made[by])[0] == f"revoked laptop (id {made['id']})\n"

    states = {key["name"]: key["state"] for key in json.loads(said(capsys, "list", "--json")[0])}
    assert states == {"laptop": "revoked", "phone": "live"}


def test_a_name_that_was_revoked_may_be_used_again_and_means_the_new_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = json.loads(said(capsys, "create", "laptop", "--json")[0])
    assert "there is a key named 'laptop'" in error(capsys, "create", "laptop")
    said(capsys, "revoke", "laptop")
    assert "no key 'laptop'" in error(capsys, "revoke", "laptop")
    second = json.loads(said(capsys, "create", "laptop", "--json")[0])

    revoked = json.loads(said(capsys, "revoke", "laptop", "--json")[0])
    assert revoked["id"] == second["id"] != first["id"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create", ""], "'' is no name for a key"),
        (["create", "a\nb"], "is no name for a key"),
        (["create", "x" * 65], "is no name for a key"),
        (["create", "0123456789ab"], "is no name for a key"),
        (["create", "a", "--scope", "root"], "no scope 'root'; take ask, feedback, admin"),
        (["create", "a", "--expires", "90"], "--expires is '90'; write hours, days or weeks"),
        (["create", "a", "--expires", "0d"], "--expires is '0d'"),
        (["create", "a", "--expires", "999999w"], "ten years at most"),
        (["revoke", "nobody"], "no key 'nobody'; 'twin keys list' shows all"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_makes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert told in error(capsys, *arguments)
    assert not (home / "keys.db").exists()


def test_no_keys_are_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "list") == ("", "no keys; make one with 'twin keys create NAME'\n")
    assert said(capsys, "list", "--json")[0] == "[]\n"


def test_making_and_revoking_are_in_the_audit_log(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = json.loads(said(capsys, "create", "laptop", "--json")[0])
    said(capsys, "revoke", "laptop")

    lines = [json.loads(line) for line in (home / "logs/audit.jsonl").read_text().splitlines()]
    assert [(line["event"], line["key_id"], line["key_name"]) for line in lines] == [
        ("key-created", made["id"], "laptop"),
        ("key-revoked", made["id"], "laptop"),
    ]


def test_text_is_freed_of_keys_and_of_the_beginnings_of_keys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = said(capsys, "create", "laptop")[0].strip()

    assert without_keys(f"a {key}, b\n{key}") == "a twin-**********, b\ntwin-**********"
    assert key[5:25] not in without_keys(f"/v1/models/{key[:30]}")
    assert without_keys("twin-sft-1 of the llm-twin") == "twin-sft-1 of the llm-twin"


def test_a_command_that_asks_the_api_has_a_key_of_its_own_for_as_long(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings()
    with own_key(settings) as headers:
        assert headers == {}
    said(capsys, "create", "laptop")
    with own_key(settings) as headers:
        during = json.loads(said(capsys, "list", "--json")[0])
    after = json.loads(said(capsys, "list", "--json")[0])

    assert headers["authorization"].startswith("Bearer twin-")
    assert [key["state"] for key in during] == ["live", "live"]
    assert [key["state"] for key in after] == ["live", "revoked"]
