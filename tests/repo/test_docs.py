"""The documentation says only what the code does, and its links lead somewhere."""

import os
import re
from pathlib import Path

import click
import pytest
import yaml
from pydantic import BaseModel

from llm_engineering.api.schemas import RagRequest
from llm_engineering.api.search_schemas import SearchRequest
from llm_engineering.application.crawl import CrawlConfig
from llm_engineering.settings import load_settings, setting_names
from tests.repo.pages import PAGES, ROOT, assignments, read_page, shell_commands
from tools.cli import cli

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = frozenset(re.findall(r"^([a-z][a-z-]*):(?!=)", MAKEFILE, re.MULTILINE))
CODE_FOLDERS = "llm_engineering|pipelines|steps|tools|tests|configs|docker|docs|\\.github"

REQUESTS: dict[str, type[BaseModel]] = {"rag": RagRequest, "search": SearchRequest}

each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@each_page
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    links = [link for link in read_page(path).links if not re.match(r"[a-z]+:", link)]
    assert [link for link in links if not leads_somewhere(link, page=path)] == []


@each_page
def test_every_twin_command_is_one_that_the_cli_knows(path: Path) -> None:
    for words in shell_commands(read_page(path)):
        if words[0] == "twin":
            parse_twin(words[1:])


@each_page
def test_every_make_command_names_a_target_and_variables_of_the_makefile(path: Path) -> None:
    wrong = [
        word
        for words in shell_commands(read_page(path))
        if words[0] == "make"
        for word in words[1:]
        if not known_to_make(word)
    ]
    assert wrong == []


@each_page
def test_every_setting_that_is_named_exists(path: Path) -> None:
    assert unknown_settings(path.read_text(encoding="utf-8")) == []


@each_page
def test_settings_that_are_shown_with_values_load(path: Path, tmp_path: Path) -> None:
    for shown in assignments(read_page(path)):
        load_settings(shown, env_file=tmp_path / "absent.env")


@each_page
def test_every_yaml_example_is_a_valid_crawl_config(path: Path) -> None:
    for language, content in read_page(path).fences:
        if language == "yaml":
            required = {
                "author": {"name": "Ada"},
                "sources": [{"kind": "files", "path": "notes"}],
            }
            CrawlConfig.model_validate(required | yaml.safe_load(content))


@each_page
def test_every_request_example_is_one_that_the_api_takes(path: Path) -> None:
    for words in shell_commands(read_page(path)):
        if words[0] == "curl" and "-d" in words:
            url = next(word for word in words if word.startswith("http"))
            REQUESTS[url.rpartition("/")[2]].model_validate_json(words[words.index("-d") + 1])


@each_page
def test_every_path_that_is_named_exists(path: Path) -> None:
    page = read_page(path)
    named = [code for code in page.code if re.fullmatch(rf"({CODE_FOLDERS})/[\w./-]*", code)]
    named += re.findall(r"\bconfigs/[a-z_]+\.yaml\b", page.text)
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    "line", ["twin serv", "twin documents lst", "twin serve --prot 1", "twin doctor now"]
)
def test_a_command_that_does_not_exist_is_noticed(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse_twin(line.split()[1:])


def test_a_setting_or_target_that_does_not_exist_is_noticed() -> None:
    assert unknown_settings("TWIN_API__PROT, TWIN_DOCUMENT__*") == [
        "TWIN_API__PROT",
        "TWIN_DOCUMENT__",
    ]
    assert not known_to_make("demos")
    assert not known_to_make("CORPSE=x")


def leads_somewhere(link: str, *, page: Path) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in read_page(target).anchors


def parse_twin(words: list[str]) -> None:
    """Raises UsageError for a command, option or argument that does not exist."""
    command: click.Command = cli
    # click keeps the help option it made for the first context; it must be `twin`'s own.
    context = click.Context(command, info_name="twin", **cli.context_settings)
    while isinstance(command, click.Group):
        _, words, _ = command.make_parser(context).parse_args(words)
        if not words:
            return
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
    values, extra, _ = command.make_parser(context).parse_args(words)
    if extra:
        raise click.UsageError(f"unexpected {extra} after {context.command_path!r}", context)
    for parameter in command.get_params(context):
        value = values.get(parameter.name or "")
        if isinstance(parameter.type, click.Choice) and isinstance(value, str):
            parameter.type.convert(value, parameter, context)


def known_to_make(word: str) -> bool:
    name, sign, _ = word.partition("=")
    return f"$({name})" in MAKEFILE if sign else name in TARGETS


def unknown_settings(text: str) -> list[str]:
    """Names that are neither a setting, nor the beginning of one, nor read by a test."""
    contract = (ROOT / "tests" / "contract").rglob("*.py")
    known = {*setting_names(), *re.findall(r"TWIN_TEST_\w+", "".join(map(_read, contract)))}
    return [
        name
        for name in re.findall(r"\bTWIN_[A-Z0-9_]*", text)
        if name not in known
        and not (name.endswith("_") and any(each.startswith(name) for each in known))
    ]


def _read(path: os.PathLike[str]) -> str:
    return Path(path).read_text(encoding="utf-8")
