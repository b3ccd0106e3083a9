"""Figures as a scraper reads them."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from llm_engineering.bootstrap import App
from tests.unit.serving import QUESTION, serving

CHAT = "/v1/chat/completions"
Key = tuple[str, frozenset[tuple[str, str]]]


class Figures:
    """Of one scrape."""

    def __init__(self, text: str) -> None:
        self.samples: dict[Key, float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        """0 for what was never counted."""
        return self.samples.get((name, frozenset(labels.items())), 0.0)

    def total(self, name: str, **labels: str) -> float:
        """Over the labels that are not given."""
        return sum(self.of(name, **labels).values())

    def of(self, name: str, **labels: str) -> Mapping[Key, float]:
        wanted = frozenset(labels.items())
        return {key: v for key, v in self.samples.items() if key[0] == name and key[1] >= wanted}

    def values(self, label: str) -> set[str]:
        return {v for _, labels in self.samples for name, v in labels if name == label}


async def scrape(client: httpx.AsyncClient) -> Figures:
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return Figures(response.text)


def chat(**more: Any) -> dict[str, Any]:
    """A request to /v1/chat/completions."""
    return {"model": "twin", "messages": [{"role": "user", "content": QUESTION}], **more}


async def left_after(app: App, events: int, body: bytes) -> Figures:
    """What is counted when a client leaves after so many events of its stream."""
    async with serving(app) as client:
        api = client._transport.app  # type: ignore[attr-defined]
        sent: list[bytes] = []
        gone = asyncio.Event()
        asked = [{"type": "http.request", "body": body}]

        async def receive() -> dict[str, Any]:
            if asked:
                return asked.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message.get("body", b""))
            if sum(piece.startswith(b"data:") for piece in sent) >= events:
                gone.set()

        scope = {
            "type": "http",
            "method": "POST",
            "path": CHAT,
            "raw_path": CHAT.encode(),
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        if not events:
            gone.set()
        await api(scope, receive, send)
        return await scrape(client)
