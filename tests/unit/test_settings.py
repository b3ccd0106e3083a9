"""Settings come from `.env` and the environment, and say what is wrong with them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from llm_engineering.domain.errors import InvalidSettings
from llm_engineering.settings import (
    EdgeSettings,
    MongoSettings,
    OpenVinoSettings,
    Settings,
    SqliteSettings,
    given_settings,
    load_settings,
    redacted,
    setting_names,
)

SECRET = "hunter2"


def settings_of(*, env_file: Path = Path("absent.env"), **environ: str) -> Settings:
    return load_settings(environ, env_file=env_file)


def problem(environ: Mapping[str, str], *, env_file: Path = Path("absent.env")) -> str:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(environ, env_file=env_file)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_nothing_set_means_the_embedded_backends() -> None:
    settings = settings_of()
    assert isinstance(settings.documents, SqliteSettings)
    assert isinstance(settings.vectors, EdgeSettings)
    assert settings.home == Path(".twin")


def test_a_kind_switches_its_section() -> None:
    settings = settings_of(TWIN_DOCUMENTS__KIND="mongo", TWIN_DOCUMENTS__DATABASE="notes")
    assert isinstance(settings.documents, MongoSettings)
    assert settings.documents.database == "notes"


def test_a_value_without_a_kind_speaks_of_the_default_kind() -> None:
    embedder = settings_of(TWIN_EMBEDDER__THREADS="3").embedder
    assert isinstance(embedder, OpenVinoSettings)
    assert embedder.threads == 3


def test_the_environment_wins_over_the_env_file(env_file: Path) -> None:
    env_file.write_text("TWIN_API__PORT=1111\nTWIN_API__HOST=::1\n", encoding="utf-8")
    api = settings_of(env_file=env_file, TWIN_API__PORT="2222").api
    assert (api.host, api.port) == ("::1", 2222)


def test_each_value_knows_where_it_came_from(env_file: Path) -> None:
    env_file.write_text("TWIN_API__PORT=1111\nTWIN_API__HOST=::1\n", encoding="utf-8")
    assert given_settings({"TWIN_API__PORT": "2222"}, env_file=env_file) == {
        "TWIN_API__HOST": ("::1", ".env"),
        "TWIN_API__PORT": ("2222", "environment"),
    }


def test_an_empty_value_is_no_value_even_over_the_env_file(env_file: Path) -> None:
    env_file.write_text("TWIN_API__PORT=1111\n", encoding="utf-8")
    assert settings_of(env_file=env_file, TWIN_API__PORT="").api.port == 8080


def test_other_programs_variables_and_those_of_the_tests_are_left_alone() -> None:
    assert settings_of(HOME="/x", TWINS="2", TWIN_TEST_MONGO_URI="mongodb://h") == settings_of()


def test_home_may_start_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert settings_of(TWIN_HOME="~/twin").home == Path("/somewhere/twin")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TWIN_API__PROT", "TWIN_API__PORT"),
        ("TWIN_VECTOR__URL", "TWIN_VECTORS__URL"),
        ("TWIN_DOCUMENTS", "TWIN_DOCUMENTS__KIND"),
        ("TWIN_API__PORT__X", "TWIN_API__PORT"),
    ],
)
def test_an_unknown_name_gets_the_closest_known_one(name: str, meant: str) -> None:
    assert problem({name: "1"}) == f"unknown setting {name}; did you mean {meant}?"


def test_an_unknown_name_close_to_nothing_gets_the_way_to_the_list() -> None:
    assert "run 'twin settings show'" in problem({"TWIN_QQQQ": "1"})


def test_an_unknown_name_in_the_env_file_says_so(env_file: Path) -> None:
    env_file.write_text("TWIN_HOMES=x\n", encoding="utf-8")
    assert f"TWIN_HOMES in {env_file}" in problem({}, env_file=env_file)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"TWIN_API__PORT": "99999"}, "TWIN_API__PORT='99999' should be less than"),
        ({"TWIN_API__PORT": "many"}, "TWIN_API__PORT='many' should be a valid integer"),
        ({"TWIN_DOCUMENTS__KIND": "mogo"}, "TWIN_DOCUMENTS__KIND='mogo' must be one of 'sqlite'"),
        ({"TWIN_CHAT__KIND": "opnai"}, "TWIN_CHAT__KIND='opnai' must be one of 'quotes', 'openai'"),
        (
            {"TWIN_CHAT__KIND": "openai", "TWIN_CHAT__BASE_URL": "http://ada:pw@host/v1"},
            "must be http(s)://host/path; a password goes to TWIN_CHAT__API_KEY",
        ),
        (
            {"TWIN_CHAT__KIND": "openai", "TWIN_CHAT__BASE_URL": "http://host:x/v1"},
            "TWIN_CHAT__BASE_URL='http://host:x/v1' Port could not be",
        ),
        (
            {"TWIN_CHAT__KIND": "openai", "TWIN_CHAT__API_KEY": "two words"},
            "TWIN_CHAT__API_KEY must be ASCII without spaces",
        ),
        (
            {"TWIN_RERANKER__MODEL": "x"},
            "TWIN_RERANKER__MODEL goes with TWIN_RERANKER__KIND=cross-encoder, not with 'none'",
        ),
        ({"TWIN_HOME": "~nobody-of-that-name/x"}, "names a user without a home folder"),
        (
            {"TWIN_VECTORS__KIND": "qdrant", "TWIN_VECTORS__URL": "localhost:6333"},
            "TWIN_VECTORS__URL='localhost:6333' must start with http:// or https://",
        ),
        (
            {"TWIN_DOCUMENTS__DATABASE": "x"},
            "TWIN_DOCUMENTS__DATABASE goes with TWIN_DOCUMENTS__KIND=mongo, not with 'sqlite'",
        ),
    ],
)
def test_a_bad_value_is_named_with_its_problem(environ: dict[str, str], said: str) -> None:
    assert said in problem(environ)


def test_a_bad_value_says_where_to_correct_it(env_file: Path) -> None:
    env_file.write_text("TWIN_API__PORT=x\n", encoding="utf-8")
    assert problem({}, env_file=env_file).endswith("correct it in .env")
    assert problem({"TWIN_API__PORT": "x"}).endswith("correct it in the environment")


@pytest.mark.parametrize(
    "environ",
    [
        {"TWIN_DOCUMENTS__KIND": "mongo", "TWIN_DOCUMENTS__URI": f"http://ada:{SECRET}@h"},
        {"TWIN_DOCUMENTS__URI": f"mongodb://ada:{SECRET}@h"},
        {"TWIN_VECTORS__API_KEY": SECRET},
        {"TWIN_CHAT__API_KEY": SECRET},
        {"TWIN_CHAT__KIND": "openai", "TWIN_CHAT__API_KEY": f"{SECRET}\n"},
        {"TWIN_CHAT__KIND": "openai", "TWIN_CHAT__BASE_URL": f"http://ada:{SECRET}@h/v1"},
        {"TWIN_VECTORS__KIND": "qdrant", "TWIN_VECTORS__URL": f"ftp://ada:{SECRET}@h"},
        {"TWIN_VECTORS__KIND": "qdrant", "TWIN_VECTORS__URL": f"ada:{SECRET}@h"},
    ],
)
def test_errors_do_not_show_secrets(environ: dict[str, str]) -> None:
    assert SECRET not in problem(environ)


def test_settings_do_not_show_secrets_when_printed() -> None:
    settings = settings_of(
        TWIN_DOCUMENTS__KIND="mongo",
        TWIN_DOCUMENTS__URI=f"mongodb://ada:{SECRET}@h",
        TWIN_VECTORS__KIND="qdrant",
        TWIN_VECTORS__API_KEY=SECRET,
        TWIN_CHAT__KIND="openai",
        TWIN_CHAT__API_KEY=SECRET,
    )
    assert SECRET not in f"{settings} {settings!r} {settings.model_dump_json()}"
    assert isinstance(settings.documents, MongoSettings)
    assert SECRET in settings.documents.uri.get_secret_value()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://ada:pw@host/x", "http://**********@host/x"),
        ("http://ada:p/w@x@host/x", "http://**********@host/x"),
        ("http://host/x", "http://host/x"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redacted(url) == shown


@pytest.mark.parametrize("line", ["TWIN_HOME", "TWIN_HOME='unclosed", "=x", "TWIN HOME=x"])
def test_a_broken_line_of_the_env_file_is_named_and_not_shown(env_file: Path, line: str) -> None:
    env_file.write_text(f"# comment\n{line}\n", encoding="utf-8")
    assert problem({}, env_file=env_file) == f"{env_file}, line 2: write it as NAME=value"


def test_an_env_file_in_another_encoding_is_refused(env_file: Path) -> None:
    env_file.write_bytes("TWIN_HOME=é\n".encode("latin-1"))
    assert "is not UTF-8" in problem({}, env_file=env_file)


def test_an_env_file_with_a_byte_order_mark_is_read(env_file: Path) -> None:
    env_file.write_text("TWIN_HOME=x\n", encoding="utf-8-sig")
    assert settings_of(env_file=env_file).home == Path("x")


def test_an_env_file_that_is_a_folder_is_refused(env_file: Path) -> None:
    env_file.mkdir()
    assert f"cannot read {env_file}" in problem({}, env_file=env_file)


def test_dollar_signs_in_the_env_file_stay_as_they_are(env_file: Path) -> None:
    env_file.write_text("TWIN_HOME=a${HOME}$b\n", encoding="utf-8")
    assert settings_of(env_file=env_file).home == Path("a${HOME}$b")


def test_every_name_is_listed_once() -> None:
    names = list(setting_names())
    assert len(names) == len(set(names))
    assert {"TWIN_HOME", "TWIN_EMBEDDER__MODEL", "TWIN_EMBEDDER__DEVICE"} <= set(names)
