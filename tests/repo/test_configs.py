import shlex
from pathlib import Path

import click
import pytest

from pipelines.configs import CONFIGS, MODELS, PIPELINES, load_config, model_of
from tools.cli import cli, load_command
from tools.configs import commands_of

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / CONFIGS).glob("*.yaml"))
COMMANDS = [(path, command) for path in FILES for command in commands_of(path)]


def test_every_pipeline_has_its_config() -> None:
    assert set(PIPELINES) <= {path.stem for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_config_validates(path: Path) -> None:
    load_config(path, model_of(path))


@pytest.mark.parametrize("name", ["features", "rag"])
def test_the_config_says_what_the_defaults_are(name: str) -> None:
    """The defaults were measured; a file that lags behind them would undo that silently."""
    model = MODELS[name]

    assert load_config(ROOT / CONFIGS / f"{name}.yaml", model) == model()


@pytest.mark.parametrize(
    ("path", "command"), COMMANDS, ids=[f"{path.name}: {text}" for path, text in COMMANDS]
)
def test_the_command_at_the_head_of_the_config_parses(
    path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    program, name, *arguments = shlex.split(command)
    assert program == "twin"

    # click keeps the help option it made for the first context; it must be `twin`'s own.
    twin = click.Context(cli, info_name="twin", **cli.context_settings)
    parsed = parse(load_command(name), name, arguments, parent=twin)

    if name == "run":
        pipeline = parsed.params["pipeline"]
        used = parsed.params["path"] or CONFIGS / f"{pipeline}.yaml"
        assert used == path.relative_to(ROOT)
        load_config(used, PIPELINES[pipeline], overrides=parsed.params["overrides"])


def parse(
    command: click.Command, name: str, arguments: list[str], *, parent: click.Context
) -> click.Context:
    """As click would, down to the last subcommand, calling nothing."""
    if not isinstance(command, click.Group):
        return command.make_context(name, arguments, parent=parent)
    group = click.Context(command, info_name=name, parent=parent)
    found, subcommand, rest = command.resolve_command(group, arguments)
    assert subcommand is not None
    return parse(subcommand, str(found), rest, parent=group)


def test_accelerate_reads_our_launch_file_and_starts_a_process_for_each_gpu() -> None:
    config_args = pytest.importorskip("accelerate.commands.config.config_args")

    found = config_args.load_config_from_file(str(ROOT / CONFIGS / "accelerate" / "gpus.yaml"))

    assert str(found.distributed_type) == "DistributedType.MULTI_GPU"
    assert found.mixed_precision == "no"
    assert found.num_processes == -1, "to be named, not assumed"
