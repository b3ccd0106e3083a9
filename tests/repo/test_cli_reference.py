"""docs/reference/cli.md is what the commands say, and `twin --help` does not lie about them."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tools import reference
from tools.cli import COMMANDS, cli, load_command

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "cli.md"


def test_the_page_is_what_the_generator_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference.cli_page(), (
        "run 'python -m tools.reference'"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_of_a_command_what_it_says_itself(name: str) -> None:
    assert load_command(name).get_short_help_str(limit=200) == COMMANDS[name].help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_parameter_of_every_command_has_a_help_text_or_a_plain_name(name: str) -> None:
    for command in tree_of(load_command(name)):
        assert command.get_short_help_str(), command.name
        silent = [
            option.opts
            for option in command.params
            if isinstance(option, click.Option) and not option.help
        ]
        assert silent == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_heading(name: str) -> None:
    headings = set(re.findall(r"^## twin (.*)$", PAGE.read_text(encoding="utf-8"), re.M))
    assert name in headings
    command = load_command(name)
    if isinstance(command, click.Group):
        assert {f"{name} {each}" for each in command.commands} <= headings


def test_the_stubs_are_the_commands_of_the_table() -> None:
    assert set(cli.commands) == set(COMMANDS)


def test_check_fails_for_a_stale_file_and_writing_makes_it_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    runner = CliRunner()
    stale = runner.invoke(reference.reference, ["--check"])
    assert (stale.exit_code, stale.output.count("stale ")) == (1, 3)
    assert runner.invoke(reference.reference, []).exit_code == 0
    assert runner.invoke(reference.reference, ["--check"]).exit_code == 0
    assert (tmp_path / ".env.example").exists()


def tree_of(command: click.Command) -> list[click.Command]:
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    return [command, *(each for group in inner for each in tree_of(group))]
