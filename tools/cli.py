"""`twin`: the table of commands and the one handler of their errors.

A command's module is imported when the command is called, so that `twin --help` needs nothing
but click.
"""

import io
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple

import click

from llm_engineering.domain.errors import TwinError
from tools.output import one_line

FAILED, INTERRUPTED = 1, 130


class Entry(NamedTuple):
    """Where a command lives, and what `twin --help` says of it."""

    module: str
    attribute: str
    help: str


COMMANDS = {
    "ask": Entry("tools.ask", "ask", "Answer QUESTION in the author's own words, with citations."),
    "config": Entry("tools.configs", "config", "List, show and check pipeline configurations."),
    "dataset": Entry(
        "tools.dataset", "dataset", "List, show, export and publish sets of training samples."
    ),
    "demo": Entry(
        "tools.demo",
        "demo",
        "Crawl, index, train, serve, ask three questions, stream an answer, and stop again.",
    ),
    "doctor": Entry(
        "tools.doctor", "doctor", "Check backends, extras and services; each failure names its fix."
    ),
    "documents": Entry(
        "tools.documents", "documents", "List, show, export, import and forget documents."
    ),
    "embedder": Entry(
        "tools.embedder", "embedder", "Tune the embedder on the author's own writing."
    ),
    "eval": Entry(
        "tools.eval", "evaluation", "Measure the twin against questions with known answers."
    ),
    "feedback": Entry(
        "tools.feedback", "feedback", "List, export and accept what readers said of answers."
    ),
    "jobs": Entry("tools.jobs", "jobs", "Follow, stop, resume and fetch training runs."),
    "keys": Entry("tools.keys", "keys", "Create, list and revoke keys to the API."),
    "mcp": Entry(
        "tools.mcp_command", "mcp", "Offer the twin to an MCP client: search, ask, draft, read."
    ),
    "model": Entry("tools.model", "model", "List, show, promote and export trained versions."),
    "run": Entry(
        "tools.run", "run", "Run PIPELINE: etl, features, end_to_end (both), datasets or training."
    ),
    "search": Entry(
        "tools.search", "search_command", "Find the passages that match QUERY best, best first."
    ),
    "serve": Entry(
        "tools.serve", "serve", "Serve the REST API until Ctrl-C; its documentation is at /docs."
    ),
    "settings": Entry("tools.settings_group", "settings", "Show and check the TWIN_* settings."),
    "stack": Entry("tools.stack", "stack", "Start and stop the local ZenML dashboard."),
}


@dataclass
class Options:
    """What the global options said; the error handler outlives click's own context."""

    verbose: bool = False


class LazyGroup(click.Group):
    """Its commands are stubs for listings and completion; the one called for is loaded."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, stub, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name and stub else stub, rest


def load_command(name: str) -> click.Command:
    """Import the command `name` of the table."""
    entry = COMMANDS[name]
    command = getattr(import_module(entry.module), entry.attribute)
    assert isinstance(command, click.Command)
    return command


@click.group(
    cls=LazyGroup,
    commands={name: click.Command(name, short_help=entry.help) for name, entry in COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="llm-twin", prog_name="twin", message="%(prog)s %(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Log more; show tracebacks of bugs.")
@click.pass_obj
def cli(options: Options, verbose: bool) -> None:
    """LLM Twin: a person's writing in, cited answers in their own words out.

    Settings come from TWIN_* variables and the file .env; 'twin settings show' lists them.
    """
    options.verbose = verbose
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `twin`. Exit code: 0, 1 (it failed), 2 (wrong usage), 130 (interrupted)."""
    options = Options()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a title must not fail on an ASCII terminal
            stream.reconfigure(errors="backslashreplace")
    try:
        code = cli.main(arguments, prog_name="twin", obj=options, standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader is gone; the interpreter must not flush into the pipe at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except TwinError as error:
        return _failed(str(error))
    except Exception as error:  # the boundary: whatever is left is a bug, and still one line
        if options.verbose:
            traceback.print_exc()
            return FAILED
        return _failed(f"{_described(error)}; run 'twin -v ...' again for the traceback")
    return code if isinstance(code, int) else 0


def _failed(message: str) -> int:
    click.echo(f"twin: error: {one_line(message)}", err=True)
    return FAILED


def _described(error: Exception) -> str:
    """Name and message; of pydantic's only where and what, since its text quotes the input."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(error, pydantic.ValidationError):
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        return f"invalid {error.title}: {where}: {problem['msg']}"
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
