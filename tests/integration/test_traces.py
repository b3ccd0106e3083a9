"""Answers of a running API and the traces that they leave, or cannot leave."""

import json
import os
import signal
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from llm_engineering.bootstrap import App
from llm_engineering.domain.chat import Capabilities
from llm_engineering.infrastructure.no_traces import NoTraces
from llm_engineering.infrastructure.openai_chat import OpenAiChat
from llm_engineering.infrastructure.opik_tracer import OpikTracer
from llm_engineering.infrastructure.otlp_tracer import OtlpTracer
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from llm_engineering.ports.tracing import Tracer
from llm_engineering.settings import HashEmbedderSettings, Settings
from tests.contract.speaking_server import Speaking, speaking_server
from tests.contract.trace_servers import Kind, TraceServer, trace_server
from tests.live_server import live
from tests.unit.serving import NOTES, QUESTION, indexed_app, publish
from tools import processes, serve

SAID = "A backup is then one copy of the database file [1]. Nobody else ever said so."
KEY = "twin-k3y-that-nobody-may-see"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
REQUEST = "01890a5d-ac96-774b-bcce-b302099a8057"
UP_S = 60
REQUESTS = 150


@pytest.fixture(params=["opik", "otlp"])
def server(request: pytest.FixtureRequest) -> Iterator[TraceServer]:
    with trace_server(request.param) as running:
        yield running


def tracer_to(server: TraceServer, *, texts: bool) -> Tracer:
    if server.kind == "opik":
        return OpikTracer(
            server.url, api_key=None, workspace="a", project="p", texts=texts, timeout_s=30
        )
    endpoint = f"{server.url}/v1/traces"
    return OtlpTracer(endpoint, headers={}, service="s", version="1", texts=texts, timeout_s=30)


def seen(server: TraceServer, *, texts: bool, stream: bool, chat: ScriptedChat) -> None:
    """Ask once, and wait for the trace."""
    tracer = tracer_to(server, texts=texts)
    app = indexed_app(chat=chat, tracer=tracer)
    with live(app) as running:
        httpx.post(
            f"{running.url}/v1/chat/completions",
            json={
                "model": "twin",
                "stream": stream,
                "temperature": 0.5,
                "messages": [{"role": "user", "content": QUESTION}],
            },
            headers={
                "authorization": f"Bearer {KEY}",
                "x-api-key": KEY,
                "x-request-id": REQUEST,
                "traceparent": PARENT,
            },
        )
        assert processes.wait_until(lambda: tracer.tally().sent == 1, UP_S)
    tracer.close()


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_leaves_one_trace_with_its_parts_and_versions(
    server: TraceServer, stream: bool
) -> None:
    seen(server, texts=True, stream=stream, chat=ScriptedChat(script=lambda _: SAID))

    root, generation = server.named("answer"), server.named("generation")
    retrieval = server.named("retrieval")
    wanted = REQUEST.replace("-", "") if server.kind == "opik" else PARENT.split("-")[1]
    assert {span.trace for span in server.spans} == {wanted}
    assert root.attributes["twin.request.id"] == REQUEST
    assert root.attributes["http.route"] == "/v1/chat/completions"
    assert root.attributes["twin.index.version"] == "gen-1"
    assert root.attributes["twin.outcome"] == "answered"
    assert root.attributes["twin.groundedness"] == 0.5
    assert generation.attributes["gen_ai.response.model"] == "scripted"
    assert generation.attributes["gen_ai.request.temperature"] == 0.5
    assert generation.attributes["gen_ai.usage.output_tokens"] == len(SAID.split())
    assert (QUESTION in root.inputs, SAID in root.outputs) == (True, True)
    assert (QUESTION in retrieval.inputs, NOTES[0] in retrieval.outputs) == (True, True)
    assert NOTES[0] in generation.inputs
    assert root.started <= retrieval.started <= retrieval.ended <= generation.ended
    assert generation.ended == pytest.approx(root.ended)
    assert not any(KEY.encode() in body for body in server.raw)


@pytest.mark.parametrize("sampled", ["01", "00"])
def test_an_engine_elsewhere_is_told_to_be_a_part_of_the_generation(sampled: str) -> None:
    """Of ours where we have one in the caller's trace, of the caller's own where we have not."""
    parent = PARENT[:-2] + sampled
    for kind in ("otlp", "opik"):
        with trace_server(kind) as server, speaking_server(ScriptedChat()) as engine:
            tracer = tracer_to(server, texts=False)
            asked_of(engine, tracer, traceparent=parent)
            kept = kind == "opik" or sampled == "01"
            assert processes.wait_until(lambda: tracer.tally().sent == kept, UP_S)  # noqa: B023
            tracer.close()

        (headers,) = engine.headers
        version, trace, span, flags = headers["traceparent"].split("-")
        assert (version, trace, flags) == ("00", PARENT.split("-")[1], sampled)
        if kind == "opik":
            assert span == PARENT.split("-")[2]
        elif sampled == "01":
            generation = server.named("generation")
            assert (span, trace) == (generation.id, generation.trace)


def test_without_a_caller_s_trace_the_engine_is_a_part_of_our_own() -> None:
    with trace_server("otlp") as server, speaking_server(ScriptedChat()) as engine:
        tracer = tracer_to(server, texts=False)
        asked_of(engine, tracer)
        assert processes.wait_until(lambda: tracer.tally().sent == 1, UP_S)
        tracer.close()

    (headers,) = engine.headers
    generation = server.named("generation")
    assert headers["traceparent"] == f"00-{generation.trace}-{generation.id}-01"


def test_without_a_tracer_an_engine_is_told_of_no_trace() -> None:
    with speaking_server(ScriptedChat()) as engine:
        asked_of(engine, NoTraces(), traceparent=PARENT)

    (headers,) = engine.headers
    assert "traceparent" not in headers


def asked_of(engine: Speaking, tracer: Tracer, **headers: str) -> None:
    """One answer of an engine elsewhere."""
    chat = OpenAiChat(
        f"{engine.url}/v1",
        model="scripted",
        api_key=None,
        timeout_s=30,
        capabilities=Capabilities(),
    )
    with live(indexed_app(chat=chat, tracer=tracer)) as running:
        answered = httpx.post(f"{running.url}/rag", json={"question": QUESTION}, headers=headers)
    chat.close()
    assert answered.status_code == 200, answered.text


def test_without_texts_nothing_that_was_asked_found_or_said_leaves(server: TraceServer) -> None:
    seen(server, texts=False, stream=True, chat=ScriptedChat(script=lambda _: SAID))

    told = b"".join(server.raw).decode("utf-8", errors="replace")
    assert len(server.spans) == 3
    for text in (KEY, "Keep one copy", "copy database", *NOTES, "Note 0", "Ada"):
        assert text not in told
    assert server.named("answer").attributes["twin.answer.characters"] == len(SAID)


def test_an_answer_that_breaks_off_leaves_a_trace_that_says_so(server: TraceServer) -> None:
    seen(server, texts=True, stream=True, chat=ScriptedChat(fails_after=2))

    assert server.named("answer").error == "backend-unavailable"
    assert server.named("generation").error == "backend-unavailable"
    assert server.named("answer").attributes["twin.outcome"] == "failed"


@contextmanager
def black_hole() -> Iterator[int]:
    """The port of a server that accepts and never answers."""
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:

        def accept() -> None:
            try:
                while True:
                    kept.append(listener.accept()[0])
            except OSError:
                pass

        threading.Thread(target=accept, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    for connection in kept:
        connection.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A twin's home with an index of NOTES."""
    folder = tmp_path_factory.mktemp("twin") / "home"
    app = App(Settings(home=folder, embedder=HashEmbedderSettings(kind="hash")))
    publish(app, *NOTES)
    app.close()
    return folder


def median_and_end(home: Path, log: Path, **settings: str) -> tuple[float, float, list[str]]:
    """Seconds of a request, seconds from SIGTERM to the end of `twin serve`, and its log."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TWIN_")}
    environ = kept | {
        "TWIN_HOME": str(home),
        "TWIN_EMBEDDER__KIND": "hash",
        "TWIN_CHAT__KIND": "scripted",
        "TWIN_API__PORT": str(port),
        "TWIN_API__LOG": "json",
        **settings,
    }
    with log.open("wb") as said:
        child = subprocess.Popen([*serve.TWIN, "serve"], env=environ, stderr=said)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=UP_S) as client:
            assert processes.wait_until(lambda: answers(client), UP_S), log.read_text()
            took = [asked(client) for _ in range(REQUESTS)]
        started = time.perf_counter()
        child.send_signal(signal.SIGTERM)
        assert child.wait(UP_S) == 0
        return statistics.median(took), time.perf_counter() - started, log.read_text().splitlines()
    finally:
        child.kill()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").status_code == 200
    except httpx.TransportError:
        return False


def asked(client: httpx.Client) -> float:
    started = time.perf_counter()
    response = client.post("/rag", json={"question": QUESTION})
    assert response.status_code == 200
    return time.perf_counter() - started


@pytest.mark.parametrize("kind", ["opik", "otlp"])
def test_a_place_that_never_answers_slows_no_request_and_not_the_end(
    home: Path, tmp_path: Path, kind: Kind
) -> None:
    usual, _, _ = median_and_end(home, tmp_path / "usual.log")
    with black_hole() as port:
        url = f"http://127.0.0.1:{port}"
        given = {"opik": ("URL", url), "otlp": ("ENDPOINT", f"{url}/v1/traces")}[kind]
        dead, ended, log = median_and_end(
            home,
            tmp_path / "dead.log",
            TWIN_TRACES__KIND=kind,
            TWIN_TRACES__TEXTS="true",
            **{f"TWIN_TRACES__{given[0]}": given[1]},
        )

    assert dead < 2 * usual + 0.005
    assert ended < 3
    lines = [json.loads(line) for line in log]
    access = [line for line in lines if line["logger"] == "llm_engineering.api.access"]
    assert sum(line["route"] == "/rag" for line in access) == REQUESTS
    assert any(line["logger"].startswith("uvicorn") for line in lines)
    (lost,) = (line for line in lines if "did not reach" in line["message"])
    assert lost["message"].startswith(f"{REQUESTS} traces ")
