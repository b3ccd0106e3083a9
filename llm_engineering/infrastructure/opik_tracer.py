"""Answers as traces in Opik, by its REST API.

Opik's own package is left out of the process: it takes three seconds and 60 MB to import, its
models take so long to fill that requests wait for them, and its threads neither say what they lost
nor end in time. Its models are what the tests hold the bodies to.
Does not know: what is in an answer.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from llm_engineering.domain.errors import MissingExtra
from llm_engineering.domain.traces import (
    Attribute,
    Span,
    Text,
    Trace,
    TraceParent,
    TraceTally,
)
from llm_engineering.infrastructure.trace_outbox import AGAIN_S, Outbox, RefusedTraces, Send

_KINDS = {"generation": "llm"}
"""All others are tools."""
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class OpikTracer:
    """Traces of one project. Raises MissingExtra."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None,
        workspace: str,
        project: str,
        texts: bool,
        timeout_s: float,
        again_s: tuple[float, float] = AGAIN_S,
    ) -> None:
        if find_spec("httpx") is None:
            raise MissingExtra("httpx", extra="traces")
        self.texts = texts
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._workspace = workspace
        self._project = project
        self._timeout_s = timeout_s
        self._outbox = Outbox(f"Opik at {urlsplit(url).netloc}", self._load, again_s=again_s)

    def record(self, trace: Trace) -> None:
        self._outbox.put(trace)

    def onward(
        self,
        request_id: str,  # noqa: ARG002 (the port's names)
        *,
        began: float,  # noqa: ARG002
        parent: TraceParent | None,
    ) -> TraceParent | None:
        """The caller's own: Opik's spans have no name in its trace."""
        return parent

    def tally(self) -> TraceTally:
        return self._outbox.tally()

    def close(self) -> None:
        self._outbox.close()

    def _load(self) -> Send:
        import httpx

        headers = {"content-type": "application/json", "comet-workspace": self._workspace}
        if self._api_key:
            headers["authorization"] = self._api_key
        client = httpx.Client(headers=headers, timeout=self._timeout_s)

        def post(what: str, items: Iterator[dict[str, Any]]) -> None:
            # One after the other: a long text in JSON holds up every other thread.
            body = ",".join(json.dumps(item, separators=(",", ":")) for item in items)
            if not body:
                return
            url = f"{self._url}/v1/private/{what}/batch"
            answer = client.post(url, content=f'{{"{what}":[{body}]}}')
            if answer.is_success:
                return
            said = f"HTTP {answer.status_code}: {answer.text[:200]}"
            raise OSError(said) if answer.status_code in _TRANSIENT else RefusedTraces(said)

        def send(batch: Sequence[Trace]) -> None:
            post("traces", (self._trace(trace) for trace in batch))
            post("spans", (span for trace in batch for span in self._spans(trace)))

        return send

    def _trace(self, trace: Trace) -> dict[str, Any]:
        return {
            "id": trace_id(trace),
            "name": trace.root.name,
            "ttft": _number(trace.root, "twin.first_token.ms"),
            "tags": [str(value) for name in _TAGS if (value := trace.root.attributes.get(name))],
            **self._common(trace.root),
        }

    def _spans(self, trace: Trace) -> Iterator[dict[str, Any]]:
        for number, span in enumerate(trace.spans):
            yield {
                "id": _uuid7(span.started, f"{trace.request_id} {number}"),
                "trace_id": trace_id(trace),
                "name": span.name,
                "type": _KINDS.get(span.name, "tool"),
                "model": _text(span, "gen_ai.response.model")
                or _text(span, "gen_ai.request.model"),
                "usage": _usage(span.attributes),
                **self._common(span),
            }

    def _common(self, span: Span) -> dict[str, Any]:
        error = {"exception_type": span.error, "message": span.reason, "traceback": span.reason}
        return {
            "project_name": self._project,
            "start_time": _moment(span.started),
            "end_time": _moment(span.ended),
            "input": _shown(span.inputs),
            "output": _shown(span.outputs),
            "metadata": dict(span.attributes),
            "error_info": error if span.error else None,
            "source": "sdk",
        }


_TAGS = ("twin.outcome",)


def trace_id(trace: Trace) -> str:
    """The request's id where it is a UUID of version 7, as those that we make are: Opik takes no
    others. For an id that the caller chose, one that is made of it and of the time."""
    try:
        given = UUID(trace.request_id)
    except ValueError:
        given = None
    if given is not None and given.version == 7:
        return str(given)
    return _uuid7(trace.root.started, trace.request_id)


def _uuid7(at: float, seed: str) -> str:
    """The same for the same time and seed, so that sending twice makes one."""
    number = bytearray(hashlib.sha256(f"{at} {seed}".encode()).digest()[:16])
    number[:6] = int(at * 1000).to_bytes(6, "big")
    number[6] = 0x70 | number[6] & 0x0F
    number[8] = 0x80 | number[8] & 0x3F
    return str(UUID(bytes=bytes(number)))


def _shown(texts: Sequence[Text]) -> dict[str, Any] | None:
    """As Opik shows it best: the one text by its name, a list otherwise."""
    if not texts:
        return None
    if len(texts) == 1:
        return {texts[0][0]: texts[0][1]}
    return {"messages": [{"role": name, "content": text} for name, text in texts]}


def _usage(attributes: Mapping[str, Attribute]) -> dict[str, int] | None:
    read, written = (
        attributes.get("gen_ai.usage.input_tokens"),
        attributes.get("gen_ai.usage.output_tokens"),
    )
    if not isinstance(read, int) or not isinstance(written, int):
        return None
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _number(span: Span, name: str) -> float | None:
    value = span.attributes.get(name)
    return float(value) if isinstance(value, int | float) else None


def _text(span: Span, name: str) -> str | None:
    value = span.attributes.get(name)
    return value if isinstance(value, str) else None
