"""One question as the chat page asks it, after its files were fetched as a browser does."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import click
import httpx

from llm_engineering.domain.errors import BackendUnavailable
from tools.output import note, write_text

TIMEOUT_S = 300
_SCRIPTS = re.compile(r'<script type="module" src="([^"]+)">')


def ask(url: str, question: str, *, key: Mapping[str, str]) -> None:
    """Show the answer and what it rests on. Raises BackendUnavailable when the page is not there,
    or gives no answer."""
    click.echo()
    try:
        with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
            page = client.get(f"{url}/").raise_for_status().text
            for script in _SCRIPTS.findall(page):
                client.get(urljoin(f"{url}/", script)).raise_for_status()
            write_text(f"Through the page: {question}", style="bold cyan")
            text, grounds = _answer(client, url, question, key=key)
    except (httpx.HTTPError, ValueError) as error:
        raise BackendUnavailable(f"the page at {url}/ gave no answer: {error}") from error
    write_text(text, indent=3)
    labels = [each["verdict"] for each in (grounds.get("grounding") or {}).get("sentences", ())]
    if labels:
        backed = len(labels) - labels.count("unsupported")
        note(f"   {backed} of {len(labels)} sentences backed by the writing")
    for cited in grounds.get("citations", ()):
        note(f"   [{cited['number']}] {cited['title']}")


def _answer(
    client: httpx.Client, url: str, question: str, *, key: Mapping[str, str]
) -> tuple[str, dict[str, Any]]:
    body = {
        "model": "twin",
        "stream": True,
        "messages": [{"role": "user", "content": question}],
    }
    said: list[str] = []
    grounds: dict[str, Any] = {}
    with client.stream("POST", f"{url}/v1/chat/completions", json=body, headers=key) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            data = line.removeprefix("data: ")
            if not data or data == "[DONE]":
                continue
            event = json.loads(data)
            if "error" in event:
                raise BackendUnavailable(f"the answer broke off: {event['error']['message']}")
            grounds = event.get("grounds") or grounds
            said += [choice["delta"].get("content") or "" for choice in event["choices"]]
    return "".join(said), grounds
