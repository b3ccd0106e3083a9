"""`twin mcp`: the twin for an MCP client, over stdin and stdout or over HTTP."""

from pathlib import Path

import click

from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.errors import MissingExtra
from llm_engineering.settings import Settings, VllmSettings, load_settings
from pipelines.configs import load_config
from tools.output import note
from tools.serve import guarded, guarded_listener, impatient, url_of


@click.command("mcp")
@click.option("--http", "over_http", is_flag=True, help="Serve over HTTP instead of stdio.")
@click.option("--host", help="With --http: address to listen on. [default: TWIN_API__HOST]")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="With --http. [default: TWIN_API__PORT]"
)
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="How questions are answered, e.g. configs/rag.yaml. [default: built-in values]",
)
def mcp(over_http: bool, host: str | None, port: int | None, config_path: Path | None) -> None:
    """Offer the twin to an MCP client: search, ask, draft, read.

    Without options the client starts this command itself and speaks with it over stdin and stdout.
    With --http it serves /mcp, by itself, to clients with keys or on this machine; 'twin serve'
    with TWIN_API__MCP=true serves it beside the REST API.
    """
    options = {"host": host, "port": port}
    chosen = {name: value for name, value in options.items() if value is not None}
    if chosen and not over_http:
        raise click.UsageError("--host and --port are for --http")
    given = load_settings()
    settings = given.model_copy(update={"api": given.api.model_copy(update=chosen)})
    config = load_config(config_path, AnswerConfig) if config_path else AnswerConfig()
    if over_http:
        _serve(settings, config)
    else:
        _speak(settings, config)


def _speak(settings: Settings, config: AnswerConfig) -> None:
    try:
        from llm_engineering.api.mcp.stdio import run_stdio
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "mcp", extra="mcp") from error
    with open_app(impatient(settings, config)) as app:
        run_stdio(app, config=config)


def _serve(settings: Settings, config: AnswerConfig) -> None:
    with guarded_listener(settings) as listener:
        try:
            from llm_engineering.api.server import run_server
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or "fastapi", extra="mcp") from error
        if settings.api.log == "text":
            note(f"MCP at {url_of(settings)}/mcp; Ctrl-C ends it")
        with open_app(guarded(impatient(settings, config))) as app:
            if isinstance(settings.chat, VllmSettings):
                app.chat  # noqa: B018  starts now; what is set up wrongly is told at once
            run_server(app, config=config, listener=listener, mcp_alone=True)
