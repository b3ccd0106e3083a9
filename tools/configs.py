"""`twin config`: the YAML files that say what is computed."""

import re
from collections.abc import Sequence
from pathlib import Path

import click

from llm_engineering.domain.errors import InvalidConfig, NotFound
from pipelines.configs import CONFIGS, dump_config, load_config, model_of
from tools.output import Column, note, write_json, write_table, write_verbatim

_COMMAND = re.compile(r"^#\s+(twin .+)$", re.MULTILINE)


@click.group()
def config() -> None:
    """List, show and check pipeline configurations."""


@config.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_configs(as_json: bool) -> None:
    """List the configs of this folder and the command that uses each."""
    found = [
        {"name": path.stem, "file": str(path), "command": commands_of(path)[0]}
        for path in _shipped()
    ]
    if as_json:
        write_json(found)
    else:
        columns = (Column("name"), Column("file"), Column("command", wide=True))
        write_table(columns, [tuple(row.values()) for row in found])


@config.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Show config NAME (etl, features, ... or a file) with all defaults filled in."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else CONFIGS / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(each.stem for each in _shipped())
        raise NotFound(f"no config {name!r}; known: {known}")
    loaded = load_config(path, model_of(path))
    if as_json:
        write_json(loaded)
    else:
        write_verbatim(dump_config(loaded))


@config.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(files: Sequence[Path], as_json: bool) -> None:
    """Check FILES, or all configs of this folder; exit code 1 when one is wrong."""
    problems = {str(path): _problem(path) for path in files or _shipped()}
    if as_json:
        write_json([{"file": path, "problem": problem} for path, problem in problems.items()])
    else:
        rows = [(path, "ok" if problem is None else "wrong") for path, problem in problems.items()]
        write_table((Column("file"), Column("")), rows, styles={"ok": "green", "wrong": "red"})
        for problem in filter(None, problems.values()):
            note(problem)
    wrong = sum(problem is not None for problem in problems.values())
    if wrong:
        raise InvalidConfig(f"{wrong} of {len(problems)} configs are wrong")


def commands_of(path: Path) -> list[str]:
    """The `twin ...` commands in the comment that opens a config file.

    Raises InvalidConfig when there is none.
    """
    head = re.match(r"(?:#.*\n)*", path.read_text(encoding="utf-8"))
    assert head is not None
    commands = _COMMAND.findall(head[0])
    if not commands:
        raise InvalidConfig(f"{path}: opens without the command that runs it, '#   twin ...'")
    return commands


def _problem(path: Path) -> str | None:
    try:
        load_config(path, model_of(path))
    except InvalidConfig as error:
        return str(error)
    return None


def _shipped() -> list[Path]:
    found = sorted(CONFIGS.glob("*.yaml"))
    if not found:
        raise NotFound(f"no configs in {CONFIGS.resolve()}; run this in the project's folder")
    return found
