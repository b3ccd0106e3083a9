"""Places that traces go to, on 127.0.0.1: as much of Opik and of a collector as tracers talk to."""

import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Kind = Literal["opik", "otlp"]
TRACES = "/v1/private/traces/batch"
SPANS = "/v1/private/spans/batch"
OTLP = "/v1/traces"


@dataclass(frozen=True)
class SeenSpan:
    """A span as it came, whoever took it."""

    trace: str
    """Id of its trace, as hexadecimal digits."""
    id: str
    parent: str
    name: str
    """`answer`, `retrieval`, `rerank` or `generation`."""
    started: float
    ended: float
    attributes: Mapping[str, Any]
    inputs: str
    """All that was asked, as JSON; '' for nothing."""
    outputs: str
    error: str
    shown: Mapping[str, Any] = field(default_factory=dict)
    """What only this server shows."""


@dataclass
class TraceServer:
    """Where it is, what it answers, and what it was told."""

    kind: Kind
    url: str = ""
    status: int = 200
    silent: bool = False
    """It takes what is sent and never answers."""
    spans: list[SeenSpan] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def named(self, name: str) -> SeenSpan:
        (span,) = (each for each in self.spans if each.name == name)
        return span

    def take(self, path: str, body: bytes) -> None:
        if self.kind == "otlp":
            assert path == OTLP
            self.spans += _otlp(ExportTraceServiceRequest.FromString(body))
            return
        # As Opik's own client would have filled them: no field that it does not know.
        from opik.rest_api.types.span_write import SpanWrite
        from opik.rest_api.types.trace_write import TraceWrite

        assert path in (TRACES, SPANS)
        model, name = (TraceWrite, "traces") if path == TRACES else (SpanWrite, "spans")
        for each in json.loads(body)[name]:
            assert set(each) <= set(model.model_fields)
            model.model_validate(each)
            self.spans.append(_opik(each, root=path == TRACES))


def _opik(told: Mapping[str, Any], *, root: bool) -> SeenSpan:
    trace = told["id"] if root else told["trace_id"]
    texts = [json.dumps(told[name]) if told.get(name) else "" for name in ("input", "output")]
    return SeenSpan(
        trace=trace.replace("-", ""),
        id=trace if root else told["id"],
        parent="" if root else trace,
        name=told["name"],
        started=_seconds(told["start_time"]),
        ended=_seconds(told["end_time"]),
        attributes=told["metadata"],
        inputs=texts[0],
        outputs=texts[1],
        error=(told.get("error_info") or {}).get("exception_type", ""),
        shown=told,
    )


def _otlp(told: ExportTraceServiceRequest) -> Iterator[SeenSpan]:
    for resource in told.resource_spans:
        shown = _values(resource.resource.attributes)
        for span in (each for scope in resource.scope_spans for each in scope.spans):
            known = _values(span.attributes)
            yield SeenSpan(
                trace=span.trace_id.hex(),
                id=span.span_id.hex(),
                parent=span.parent_span_id.hex(),
                name=_operation(known),
                started=span.start_time_unix_nano / 1e9,
                ended=span.end_time_unix_nano / 1e9,
                attributes=known,
                inputs=known.get("gen_ai.input.messages", "")
                or known.get("gen_ai.retrieval.query.text", ""),
                outputs=known.get("gen_ai.output.messages", "")
                or known.get("gen_ai.retrieval.documents", ""),
                error=known.get("error.type", ""),
                shown={**shown, "name": span.name, "kind": span.kind, "status": span.status.code},
            )


def _operation(known: Mapping[str, Any]) -> str:
    if "twin.reranker" in known:
        return "rerank"
    operations = {"chat": "generation", "retrieval": "retrieval"}
    return operations.get(known.get("gen_ai.operation.name", ""), "answer")


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: Any) -> Any:
    chosen = value.WhichOneof("value")
    if chosen == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, chosen)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


@contextmanager
def trace_server(kind: Kind) -> Iterator[TraceServer]:
    """Listening until the end; requests that still wait are let go then."""
    server = TraceServer(kind)

    class Requests(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            server.raw.append(body)
            server.headers.append({k.lower(): v for k, v in self.headers.items()})
            if server.silent:
                server.ended.wait()
                return
            if server.status == 200:
                server.take(self.path, body)
            with suppress(ConnectionError):  # who sent it is gone
                self.send_response(server.status)
                told = b"{}" if server.kind == "opik" else b""
                self.send_header("Content-Length", str(len(told)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    server.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        listening.shutdown()
        listening.server_close()
        thread.join()
