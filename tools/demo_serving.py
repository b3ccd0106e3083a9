"""The demo's last answer, streamed: from the twin in production where there is one."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import click
import httpx

from llm_engineering.bootstrap import open_app
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.models import ModelManifest
from llm_engineering.settings import QuotesSettings, Settings
from tools.output import note, write_text
from tools.serve import TWIN

ANSWER_TIMEOUT_S = 300
TOKENS = 96
"""Of the streamed answer: enough to see it come."""

Engine = Literal["transformers", "vllm"]


class Voice(NamedTuple):
    """Who says the last answer, and why that one."""

    reason: str
    settings: Mapping[str, str] = {}
    """Of the server, beside those of the environment; none: the server that runs will do."""
    retrieval: bool = True


def chosen_voice(settings: Settings, *, engine: Engine | None) -> Voice:
    """The version in production through `engine`, else quotes; what the environment sets wins."""
    if not isinstance(settings.chat, QuotesSettings):
        return Voice(f"from {settings.chat.kind}, as TWIN_CHAT__KIND says")
    with open_app(settings) as app:
        production = app.models.production()
    if production is None:
        return Voice("from quotes, since no version of the twin is in production")
    if engine is None and find_spec("torch") is None:
        return Voice(
            f"from quotes, since torch is not installed to run {production.manifest.version}"
        )
    return _of_production(production.manifest, engine or "transformers")


def _of_production(manifest: ModelManifest, engine: Engine) -> Voice:
    reason = f"from {manifest.version}, which is in production, through {engine}"
    if manifest.nano:
        # It reads a few hundred tokens, and was trained on instructions without evidence.
        reason += ", without evidence: a nano proves the pipeline, not the prose"
    return Voice(reason, {"TWIN_CHAT__KIND": engine}, retrieval=not manifest.nano)


def start(voice: Voice) -> None:
    """The API in the background, speaking so; ends this command where it does not start."""
    done = subprocess.run(
        [*TWIN, "serve", "--background"],
        env={**os.environ, **voice.settings},
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(done.returncode)


def stream(url: str, question: str, voice: Voice, *, key: Mapping[str, str]) -> None:
    """Show the answer as it comes. Raises BackendUnavailable when it does not, or breaks off."""
    click.echo()
    write_text(f"Streamed: {question}", style="bold cyan")
    note(f"{voice.reason}…")
    click.echo("   ", nl=False)
    for piece in _pieces(url, question, voice, key=key):
        click.echo(piece.replace("\n", "\n   "), nl=False)
    click.echo()


def _pieces(url: str, question: str, voice: Voice, *, key: Mapping[str, str]) -> Iterator[str]:
    body = {
        "model": "twin",
        "stream": True,
        "max_tokens": TOKENS,
        "messages": [{"role": "user", "content": question}],
    }
    headers = {**key} if voice.retrieval else {**key, "x-twin-retrieval": "off"}
    with (
        _telling(url),
        httpx.stream(
            "POST",
            f"{url}/v1/chat/completions",
            json=body,
            headers=headers,
            timeout=ANSWER_TIMEOUT_S,
            trust_env=False,
        ) as response,
    ):
        if response.is_error:
            response.read()
            raise BackendUnavailable(f"the API answered {_message(response.json())}")
        for line in response.iter_lines():
            data = line.removeprefix("data: ")
            if not data or data == "[DONE]":
                continue
            event = json.loads(data)
            if "error" in event:
                raise BackendUnavailable(f"the answer broke off: {_message(event)}")
            for choice in event["choices"]:
                yield choice["delta"].get("content") or ""


def _message(body: Mapping[str, Any]) -> str:
    return str(body.get("error", {}).get("message", body))


@contextmanager
def _telling(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, ValueError) as error:
        raise BackendUnavailable(f"the API at {url} gave no answer: {error}") from error
