"""Every tracer: it shows what it is given, and never slows or fails who gives it."""

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import pytest

from llm_engineering.domain.errors import MissingExtra
from llm_engineering.domain.traces import Attribute, Span, Trace, TraceParent, TraceTally
from llm_engineering.infrastructure import opik_tracer, otlp_tracer, trace_outbox
from llm_engineering.infrastructure.no_traces import NoTraces
from llm_engineering.infrastructure.opik_tracer import OpikTracer
from llm_engineering.infrastructure.otlp_tracer import OtlpTracer
from llm_engineering.ports.tracing import Tracer
from tests.contract.trace_servers import Kind, TraceServer, trace_server

KEY = "k3y-that-nobody-may-see"
REQUEST = "01890a5d-ac96-774b-bcce-b302099a8057"
AT = 1_700_000_000.0
WITHIN_S = 60.0

Open = Callable[[], Tracer]


@pytest.fixture(params=["opik", "otlp"])
def server(request: pytest.FixtureRequest) -> Iterator[TraceServer]:
    with trace_server(request.param) as running:
        yield running


@pytest.fixture
def tracer(server: TraceServer) -> Iterator[Tracer]:
    opened = tracer_to(server.kind, server.url)
    yield opened
    opened.close()


@pytest.fixture(params=["none", "silent opik", "silent otlp", "no opik", "no otlp"])
def useless(request: pytest.FixtureRequest) -> Iterator[Tracer]:
    """One that nobody takes traces from."""
    how, _, kind = request.param.partition(" ")
    if how == "silent":
        with trace_server(kind) as running:
            running.silent = True
            yield tracer_to(kind, running.url)
    else:
        yield tracer_to(kind, "http://127.0.0.1:9") if kind else NoTraces()


def tracer_to(kind: str, url: str, *, timeout_s: float = 30.0) -> Tracer:
    soon = (0.05, 0.2)
    if kind == "opik":
        return OpikTracer(
            url,
            api_key=KEY,
            workspace="ada",
            project="twin",
            texts=True,
            timeout_s=timeout_s,
            again_s=soon,
        )
    return OtlpTracer(
        f"{url}/v1/traces",
        headers={"x-key": KEY},
        service="twin",
        version="1.2",
        texts=True,
        timeout_s=timeout_s,
        again_s=soon,
    )


def trace(
    request_id: str = REQUEST, *, parent: TraceParent | None = None, error: str = ""
) -> Trace:
    whole = Span(
        name="answer",
        started=AT,
        ended=AT + 2,
        attributes={
            "http.request.method": "POST",
            "http.route": "/rag",
            "twin.index.version": "gen-3",
            "twin.first_token.ms": 250.0,
            "twin.abstained": False,
            "twin.citations": ("d1:0-9",),
        },
        inputs=(("user", "Why one file?"),),
        outputs=(("assistant", "A backup is one copy."),),
        error=error,
        reason="the engine is gone" if error else "",
    )
    spans = (
        Span("retrieval", AT, AT + 0.5, RETRIEVAL, (("query", "Why?"),), (("Note", "Found."),)),
        Span("rerank", AT + 0.25, AT + 0.5, {"twin.reranker": "cross"}),
        Span("generation", AT + 0.5, AT + 2, GENERATION, (("system", "Be."), ("user", "Why?"))),
    )
    return Trace(request_id, whole, spans, parent)


RETRIEVAL: Mapping[str, Attribute] = {
    "gen_ai.operation.name": "retrieval",
    "gen_ai.data_source.id": "gen-3",
}
GENERATION: Mapping[str, Attribute] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "twin",
    "gen_ai.response.model": "twin-7",
    "gen_ai.usage.input_tokens": 21,
    "gen_ai.usage.output_tokens": 8,
}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_trace_arrives_with_its_parts_below_it(server: TraceServer, tracer: Tracer) -> None:
    tracer.record(trace())
    until(lambda: tracer.tally() == TraceTally(sent=1))

    root = server.named("answer")
    parts = [server.named(name) for name in ("retrieval", "rerank", "generation")]
    assert root.trace == REQUEST.replace("-", "")
    assert {span.trace for span in server.spans} == {root.trace}
    assert {span.parent for span in parts} == {root.id}
    assert len({span.id for span in server.spans}) == 4
    assert (root.started, root.ended) == (AT, AT + 2)
    assert (parts[2].started, parts[2].ended) == (AT + 0.5, AT + 2)
    assert root.attributes["twin.index.version"] == "gen-3"
    assert root.attributes["twin.abstained"] is False
    assert root.attributes["twin.citations"] == ["d1:0-9"]
    assert parts[2].attributes["gen_ai.response.model"] == "twin-7"
    assert ("Why one file?" in root.inputs, "A backup is one copy." in root.outputs) == (1, 1)
    assert ("Why?" in parts[0].inputs, "Found." in parts[0].outputs) == (True, True)
    assert ("Be." in parts[2].inputs, parts[2].outputs, root.error) == (True, "", "")


def test_what_went_wrong_is_told(server: TraceServer, tracer: Tracer) -> None:
    tracer.record(trace(error="backend-unavailable"))
    until(lambda: tracer.tally().sent == 1)

    assert server.named("answer").error == "backend-unavailable"
    assert server.named("retrieval").error == ""


def test_the_key_is_sent_in_its_header_and_nowhere_else(
    server: TraceServer, tracer: Tracer
) -> None:
    tracer.record(trace())
    until(lambda: tracer.tally().sent == 1)

    name = "authorization" if server.kind == "opik" else "x-key"
    assert {headers[name] for headers in server.headers} == {KEY}
    assert not any(KEY.encode() in body for body in server.raw)


def test_traces_from_threads_and_an_event_loop_arrive_once_each(
    server: TraceServer, tracer: Tracer
) -> None:
    def twenty(first: int) -> None:
        for number in range(first, first + 20):
            tracer.record(trace(f"request-{number}"))

    async def on_a_loop() -> None:
        twenty(160)

    threads = [threading.Thread(target=twenty, args=(20 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    asyncio.run(on_a_loop())
    for thread in threads:
        thread.join()
    until(lambda: tracer.tally().sent == 180)

    roots = [span for span in server.spans if span.name == "answer"]
    assert len(roots) == len({span.trace for span in roots}) == 180
    assert len(server.raw) < 180


def test_closing_sends_what_waits(server: TraceServer) -> None:
    opened = tracer_to(server.kind, server.url)
    opened.record(trace("first"))
    until(lambda: opened.tally().sent == 1)  # what sending takes is imported
    for number in range(30):
        opened.record(trace(f"request-{number}"))
    opened.close()

    assert opened.tally() == TraceTally(sent=31)


def test_a_server_that_comes_back_gets_what_waited(
    server: TraceServer, tracer: Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    server.status = 503
    tracer.record(trace("first"))
    until(lambda: len(server.raw) >= 2)
    tracer.record(trace("second"))
    server.status = 200
    until(lambda: tracer.tally() == TraceTally(sent=2))

    assert len({span.trace for span in server.spans}) == 2
    assert len(caplog.records) <= 1  # the exporter tries again without a word


def test_what_is_refused_is_lost_and_the_next_is_not(
    server: TraceServer, tracer: Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    server.status = 400
    tracer.record(trace("first"))
    until(lambda: tracer.tally().lost == 1)
    server.status = 200
    tracer.record(trace("second"))
    until(lambda: tracer.tally() == TraceTally(sent=1, lost=1))

    (record,) = caplog.records
    assert "HTTP 400" in record.message
    assert server.url.removeprefix("http://") in record.message
    assert KEY not in caplog.text


def test_a_place_that_takes_nothing_costs_no_time_and_no_error(
    useless: Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    took = []
    for number in range(2 * trace_outbox.WAITING):
        given = trace(f"request-{number}")
        started = time.perf_counter()
        useless.record(given)
        took.append(time.perf_counter() - started)
    started = time.perf_counter()
    useless.close()
    closed = time.perf_counter() - started
    useless.close()
    useless.record(trace())

    assert sorted(took)[len(took) // 2] < 0.001
    assert closed < trace_outbox.CLOSE_S + 1
    if not isinstance(useless, NoTraces):
        assert useless.tally().sent == 0
        assert useless.tally().lost >= trace_outbox.WAITING - trace_outbox.TOGETHER
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) <= 2
    assert KEY not in caplog.text


def test_opik_shows_the_model_its_tokens_and_the_time_to_the_first() -> None:
    with trace_server("opik") as server:
        opened = tracer_to("opik", server.url)
        opened.record(trace())
        until(lambda: opened.tally().sent == 1)
        opened.close()

    root, generation = server.named("answer").shown, server.named("generation").shown
    assert (root["project_name"], root["ttft"]) == ("twin", 250.0)
    assert server.headers[0]["comet-workspace"] == "ada"
    assert (generation["type"], generation["model"]) == ("llm", "twin-7")
    assert generation["usage"] == {
        "prompt_tokens": 21,
        "completion_tokens": 8,
        "total_tokens": 29,
    }
    assert server.named("retrieval").shown["type"] == "tool"


@pytest.mark.parametrize("request_id", ["req-17", "6f1c1f0e-6a3c-4b5e-9d3e-0a1b2c3d4e5f"])
def test_opik_gets_an_id_that_it_takes_for_one_that_the_caller_chose(request_id: str) -> None:
    first, again = opik_tracer.trace_id(trace(request_id)), opik_tracer.trace_id(trace(request_id))

    assert first == again
    assert re.fullmatch(r"018b[0-9a-f]{4}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f-]{16}", first)


@pytest.fixture
def collector() -> Iterator[TraceServer]:
    with trace_server("otlp") as running:
        yield running


def test_a_collector_gets_the_callers_trace_and_names_by_the_conventions(
    collector: TraceServer,
) -> None:
    parent = TraceParent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=True)
    opened = tracer_to("otlp", collector.url)
    opened.record(trace(parent=parent))
    until(lambda: opened.tally().sent == 1)
    opened.close()

    root = collector.named("answer")
    assert (root.trace, root.parent) == (parent.trace_id, parent.span_id)
    assert (root.shown["service.name"], root.shown["service.version"]) == ("twin", "1.2")
    names = {span.name: span.shown["name"] for span in collector.spans}
    assert names == {
        "answer": "POST /rag",
        "retrieval": "retrieval gen-3",
        "rerank": "rerank cross",
        "generation": "chat twin",
    }
    ends = sorted(span.ended for span in collector.spans)
    assert all(before <= after for before, after in pairwise(ends))


def test_a_trace_that_the_caller_does_not_keep_is_not_sent(collector: TraceServer) -> None:
    dropped = TraceParent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=False)
    opened = tracer_to("otlp", collector.url)
    opened.record(trace("dropped", parent=dropped))
    opened.record(trace("kept"))
    until(lambda: opened.tally().sent == 1)
    opened.close()

    assert len([span for span in collector.spans if span.name == "answer"]) == 1
    assert opened.tally() == TraceTally(sent=1)


@pytest.mark.parametrize("kind", ["opik", "otlp"])
def test_without_its_package_the_extra_is_named(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (opik_tracer, otlp_tracer):
        monkeypatch.setattr(module, "find_spec", lambda _: None)

    with pytest.raises(MissingExtra, match=r"llm-twin\[traces\]"):
        tracer_to(kind, "http://127.0.0.1:9")
