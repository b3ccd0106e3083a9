"""Answers as traces of OpenTelemetry, sent to a collector over HTTP (OTLP).

A caller's `traceparent` is taken over: the answer is a part of the caller's trace, and is sent only
where that trace is kept.
Does not know: what is in an answer.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
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

_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_TRANSIENT = frozenset({408, 429})


class OtlpTracer:
    """Spans of one service. Raises MissingExtra."""

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Mapping[str, str],
        service: str,
        version: str,
        texts: bool,
        timeout_s: float,
        again_s: tuple[float, float] = AGAIN_S,
    ) -> None:
        if not _installed():
            raise MissingExtra("opentelemetry", extra="traces")
        self.texts = texts
        self._endpoint = endpoint
        self._headers = dict(headers)
        self._resource = {"service.name": service, "service.version": version}
        self._timeout_s = timeout_s
        self._outbox = Outbox(
            f"the collector at {urlsplit(endpoint).netloc}", self._load, again_s=again_s
        )

    def record(self, trace: Trace) -> None:
        if trace.parent is None or trace.parent.sampled:
            self._outbox.put(trace)

    def onward(self, request_id: str, *, began: float, parent: TraceParent | None) -> TraceParent:
        """The generation's span, which is sent when the answer has ended."""
        return TraceParent(
            trace_id=parent.trace_id if parent else f"{_trace_id(request_id):032x}",
            span_id=f"{_span_id(request_id, began, 'generation'):016x}",
            sampled=parent is None or parent.sampled,
        )

    def tally(self) -> TraceTally:
        return self._outbox.tally()

    def close(self) -> None:
        self._outbox.close()

    def _load(self) -> Send:
        import requests
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SpanExportResult

        # It says nothing of an attempt but that it failed, and that as often as it fails.
        logging.getLogger(_EXPORTER).setLevel(logging.CRITICAL)
        session, answers = requests.Session(), [0]
        session.hooks["response"] = [lambda answer, **_: answers.append(answer.status_code)]
        exporter = OTLPSpanExporter(
            self._endpoint, headers=self._headers or None, timeout=self._timeout_s, session=session
        )
        spans_of = _recorder(self._resource)

        def send(batch: Sequence[Trace]) -> None:
            answers[:] = [0]
            spans = [span for trace in batch for span in spans_of(trace)]
            if exporter.export(spans) is SpanExportResult.SUCCESS:
                return
            if 400 <= answers[-1] < 500 and answers[-1] not in _TRANSIENT:
                raise RefusedTraces(f"HTTP {answers[-1]}")
            raise TimeoutError(f"HTTP {answers[-1]}" if answers[-1] else "it does not answer")

        return send


def _installed() -> bool:
    try:
        return find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:
        return False


def _recorder(resource: Mapping[str, str]) -> Callable[[Trace], Sequence[Any]]:
    """Makes OpenTelemetry's spans of a trace, with ids that follow from the request's."""
    from opentelemetry import trace as otel
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    class Ids(IdGenerator):
        """Of the trace at hand."""

        def __init__(self) -> None:
            self.request_id, self.began, self.name = "", 0.0, ""

        def of(self, trace: Trace, span: Span) -> None:
            """The span that is begun next."""
            self.request_id, self.began, self.name = trace.request_id, trace.root.started, span.name

        def generate_trace_id(self) -> int:
            return _trace_id(self.request_id)

        def generate_span_id(self) -> int:
            return _span_id(self.request_id, self.began, self.name)

    ids, kept = Ids(), InMemorySpanExporter()
    provider = TracerProvider(
        sampler=ALWAYS_ON,
        resource=Resource(dict(resource)),
        id_generator=ids,
        span_limits=SpanLimits(max_attributes=None, max_attribute_length=None),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("llm_twin", resource.get("service.version"))

    def spans_of(trace: Trace) -> Sequence[Any]:
        kept.clear()
        ids.of(trace, trace.root)
        context = otel.set_span_in_context(otel.INVALID_SPAN)
        if trace.parent is not None:
            caller = otel.SpanContext(
                int(trace.parent.trace_id, 16),
                int(trace.parent.span_id, 16),
                is_remote=True,
                trace_flags=otel.TraceFlags(otel.TraceFlags.SAMPLED),
            )
            context = otel.set_span_in_context(otel.NonRecordingSpan(caller))
        root = _begun(tracer, trace.root, context, otel.SpanKind.SERVER)
        inside = otel.set_span_in_context(root)
        for span in trace.spans:
            ids.of(trace, span)
            kind = otel.SpanKind.CLIENT if span.name == "generation" else otel.SpanKind.INTERNAL
            _begun(tracer, span, inside, kind).end(_nanoseconds(span.ended))
        root.end(_nanoseconds(trace.root.ended))
        return kept.get_finished_spans()

    return spans_of


def _begun(tracer: Any, span: Span, context: Any, kind: Any) -> Any:
    from opentelemetry.trace import StatusCode

    begun = tracer.start_span(
        _name(span),
        context=context,
        kind=kind,
        attributes={**span.attributes, **_contents(span)},
        start_time=_nanoseconds(span.started),
    )
    if span.error:
        begun.set_attribute("error.type", span.error)
        begun.set_status(StatusCode.ERROR, span.reason or span.error)
    return begun


def _name(span: Span) -> str:
    """As the conventions have it: the operation and what it is done with."""
    target = {
        "answer": "http.route",
        "retrieval": "gen_ai.data_source.id",
        "rerank": "twin.reranker",
        "generation": "gen_ai.request.model",
    }.get(span.name, "")
    operation = span.attributes.get("gen_ai.operation.name", span.name)
    operation = span.attributes.get("http.request.method", operation)
    return f"{operation} {span.attributes.get(target, '')}".rstrip()


def _contents(span: Span) -> dict[str, Attribute]:
    if span.name in ("answer", "generation"):
        named = {
            "gen_ai.input.messages": _messages(span.inputs),
            "gen_ai.output.messages": _messages(span.outputs),
        }
    else:
        query = " ".join(text for _, text in span.inputs)
        found = [{"id": name, "content": text} for name, text in span.outputs]
        named = {
            "gen_ai.retrieval.query.text": query,
            "gen_ai.retrieval.documents": json.dumps(found) if found else "",
        }
    return {name: text for name, text in named.items() if text}


def _messages(texts: Sequence[Text]) -> str:
    messages = [
        {"role": role, "parts": [{"type": "text", "content": text}]} for role, text in texts
    ]
    return json.dumps(messages) if messages else ""


def _trace_id(request_id: str) -> int:
    """A request's id that is a UUID is the trace's as well."""
    try:
        return UUID(request_id).int or 1
    except ValueError:
        return _digits(request_id, 16)


def _span_id(request_id: str, began: float, name: str) -> int:
    """A trace has one span of each name."""
    return _digits(f"{request_id} {began} {name}", 8)


def _digits(seed: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:size], "big") or 1


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
