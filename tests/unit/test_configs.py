from pathlib import Path

import pytest

from llm_engineering.application.crawl import CrawlConfig
from llm_engineering.application.features import FeaturesConfig
from llm_engineering.domain.errors import InvalidConfig
from llm_engineering.domain.sources import FilesConfig, WebConfig
from pipelines.configs import EndToEndConfig, dump_config, load_config, model_of

GOOD = """\
author: {name: Ada}
sources:
  - kind: files
    path: notes
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "etl.yaml"


def loaded(file: Path, text: str, *overrides: str) -> CrawlConfig:
    file.write_text(text, encoding="utf-8")
    return load_config(file, CrawlConfig, overrides=overrides)


def problem(file: Path, text: str, *overrides: str) -> str:
    """The one line, without the folder of the test."""
    with pytest.raises(InvalidConfig) as raised:
        loaded(file, text, *overrides)
    message = str(raised.value)
    assert "\n" not in message
    return message.replace(str(file), "etl.yaml")


def test_a_good_file_becomes_its_model(file: Path) -> None:
    config = loaded(file, GOOD)

    assert config.author.name == "Ada"
    assert config.sources == (FilesConfig(kind="files", path=Path("notes")),)


def test_relative_paths_stay_relative_to_the_working_directory(file: Path) -> None:
    source = loaded(file, GOOD).sources[0]

    assert isinstance(source, FilesConfig)
    assert source.path == Path("notes")


def test_an_empty_file_takes_all_defaults_where_there_are_some(tmp_path: Path) -> None:
    file = tmp_path / "features.yaml"
    file.write_text("# nothing\n", encoding="utf-8")

    assert load_config(file, FeaturesConfig) == FeaturesConfig()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (GOOD + "http: {timout_s: 3}", "unknown key http.timout_s; did you mean timeout_s?"),
        (GOOD + "zzz: 3", "unknown key zzz; known: author, sources, http, max_failed_share"),
        (GOOD + "    pth: x", "unknown key sources.0.pth; did you mean path?"),
        ("author: {nme: Ada}\nsources: []", "unknown key author.nme; did you mean name?"),
        ("sources: [{kind: web, urls: [x]}]", "missing key author"),
        ("author: {name: A}\nsources: [{kind: web}]", "missing key sources.0.urls"),
        ("author: {name: A}\nsources: [{path: x}]", "missing key sources.0.kind"),
        (
            "author: {name: A}\nsources: [{kind: file}]",
            "sources.0.kind: unknown kind 'file'; did you mean files?",
        ),
        (GOOD + "http: {timeout_s: -3}", "http.timeout_s: should be greater than 0, not -3"),
        (GOOD + "http: 3", "http: should hold 'key: value' lines, not 3"),
        ("author: {name: A}\nsources: 3", "sources: should be a list, not 3"),
    ],
)
def test_a_bad_key_or_value_is_told_with_its_path_and_the_fix(
    file: Path, text: str, line: str
) -> None:
    assert problem(file, text).startswith(f"etl.yaml: {line}")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (GOOD + "author: {name: Bob}", "line 5: key 'author' is given twice"),
        ("author: {name: A, name: B}", "line 1: key 'name' is given twice"),
        ("a: [1\nb: 2", "line 2: expected ',' or ']', but got ':'"),
        ("author: *nobody", "line 1: found undefined alias 'nobody'"),
        ("a: !!python/object:os.system {}", "line 1: could not determine a constructor"),
        ("a: \x01", "unacceptable character #x0001"),
        ("a: 2024-99-99", "month must be in 1..12"),
        ("- 1", "expected 'key: value' lines, found a list"),
        ("just text", "expected 'key: value' lines, found a str"),
    ],
)
def test_broken_yaml_is_told_with_its_line(file: Path, text: str, line: str) -> None:
    assert problem(file, text).startswith(f"etl.yaml: {line}")


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"a: \xff\xfe")

    for path, words in (
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "Is a directory"),
        (binary, "not UTF-8 text"),
    ):
        with pytest.raises(InvalidConfig, match=words) as raised:
            load_config(path, CrawlConfig)
        assert str(path) in str(raised.value)


def test_nothing_is_substituted_in_values(file: Path) -> None:
    assert loaded(file, GOOD.replace("Ada", '"${USER}"')).author.name == "${USER}"


def test_overrides_replace_add_and_reach_into_lists(file: Path) -> None:
    config = loaded(
        file, GOOD, "author.name=Bob", "http.timeout_s=5", "sources.0.path=other", "refetch=true"
    )

    assert config.author.name == "Bob"
    assert config.http.timeout_s == 5
    assert config.sources == (FilesConfig(kind="files", path=Path("other")),)
    assert config.refetch is True


def test_an_override_may_be_a_whole_yaml_value(file: Path) -> None:
    config = loaded(file, GOOD, "sources=[{kind: web, urls: ['https://a.example/?q=1']}]")

    assert config.sources == (WebConfig(kind="web", urls=("https://a.example/?q=1",)),)


def test_the_later_override_wins(file: Path) -> None:
    assert loaded(file, GOOD, "author.name=Bob", "author.name=Eve").author.name == "Eve"


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("author", "write it as key=value"),
        ("=3", "write it as key=value"),
        ("a..b=3", "write it as key=value"),
        ("sources.1.path=x", "no entry '1' in sources; it has 1, counted from 0"),
        ("sources.first=x", "no entry 'first' in sources"),
        ("author.name.first=x", "author.name is a single value, it has no 'first'"),
        ("author.name=[1", "line 1: expected ',' or ']'"),
        ("http.timout_s=5", "unknown key http.timout_s; did you mean timeout_s?"),
        ("max_failed_share=2", "max_failed_share: should be less than or equal to 1, not 2"),
    ],
)
def test_a_bad_override_is_blamed_itself(file: Path, override: str, line: str) -> None:
    assert problem(file, GOOD, override).startswith(f"-s {override}: {line}")


def test_a_problem_of_the_file_is_not_blamed_on_an_override(file: Path) -> None:
    assert problem(file, GOOD + "htp: 3", "author.name=Bob").startswith("etl.yaml: unknown key htp")


def test_a_rule_between_two_values_is_told_in_its_own_words(tmp_path: Path) -> None:
    file = tmp_path / "features.yaml"
    file.write_text("chunk: {max_tokens: 20, min_tokens: 30}", encoding="utf-8")

    with pytest.raises(InvalidConfig) as raised:
        load_config(file, FeaturesConfig)
    assert str(raised.value) == f"{file}: chunk: min_tokens 30 is above max_tokens 20"


def test_unknown_keys_deep_in_end_to_end_are_found(tmp_path: Path) -> None:
    file = tmp_path / "end_to_end.yaml"
    file.write_text(
        "etl: {author: {name: A}, sources: [{kind: files, path: x, bse_url: y}]}", encoding="utf-8"
    )

    with pytest.raises(InvalidConfig, match=r"unknown key etl\.sources\.0\.bse_url; did you mean"):
        load_config(file, EndToEndConfig)


def test_a_dumped_config_loads_as_the_same_config(file: Path) -> None:
    config = loaded(file, GOOD)

    assert loaded(file, dump_config(config)) == config


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("etl.yaml", CrawlConfig),
        ("etl_blog.yaml", CrawlConfig),
        ("end_to_end.yaml", EndToEndConfig),
        ("end_to_end_blog.yaml", EndToEndConfig),
    ],
)
def test_a_file_is_checked_against_the_model_of_its_name(name: str, model: type) -> None:
    assert model_of(Path("configs") / name) is model


def test_a_file_of_no_pipeline_is_refused() -> None:
    with pytest.raises(InvalidConfig, match=r"etlx\.yaml: no pipeline has this name"):
        model_of(Path("configs/etlx.yaml"))
