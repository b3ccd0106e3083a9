"""`twin mcp` over stdin and stdout: a real process, spoken to by the real client and by hand."""

import json
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters

from llm_engineering.infrastructure.scripted_chat import TEXT
from tests.integration.mcp_home import environment, written_home
from tests.mcp_clients import ERAS, said, texts
from tests.unit.serving import NOTES, QUESTION
from tools.serve import TWIN

pytestmark = pytest.mark.anyio
AT_ONCE_S = 10
"""No start, load or answer of these tests is over before: they take minutes."""
SLOW = {"TWIN_CHAT__FIRST_TOKEN_S": "600"}
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mcp") / "home"
    written_home(folder)
    return folder


@asynccontextmanager
async def spoken_to(home: Path, *, mode: str = "auto", **settings: str) -> AsyncIterator[Client]:
    server = StdioServerParameters(
        command=TWIN[0],
        args=[*TWIN[1:], "mcp"],
        env=environment(home, **settings),
        cwd=home.parent,
    )
    async with Client(server, mode=mode) as client:
        yield client


@pytest.fixture
def started(home: Path) -> Iterator[Start]:
    """Start `twin mcp` with pipes that the test holds."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(at: Path = home, **settings: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [*TWIN, "mcp"],
            env=environment(at, **settings),
            cwd=home.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def send(process: "subprocess.Popen[bytes]", method: str, **rest: Any) -> None:
    assert process.stdin is not None
    message = {"jsonrpc": "2.0", "method": method, **rest}
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def greet(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    """The handshake; gives what the server said to it."""
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    send(process, "initialize", id=1, params=params)
    assert process.stdout is not None
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    send(process, "notifications/initialized")
    return answer


@pytest.mark.parametrize("mode", ERAS)
async def test_the_client_lists_and_calls_every_tool_and_reads_documents(
    home: Path, mode: str
) -> None:
    async with spoken_to(home, mode=mode) as client:
        assert client.server_info is not None
        assert client.server_info.name == "llm-twin"
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        results = {
            "search_writing": await client.call_tool("search_writing", {"query": QUESTION}),
            "ask_twin": await client.call_tool("ask_twin", {"question": QUESTION}),
            "draft_as_author": await client.call_tool("draft_as_author", {"instruction": "Write."}),
        }
        listed = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
        contents = (await client.read_resource(str(listed[0].uri))).contents

    assert tools.keys() == results.keys()
    assert NOTES[0] in said(results["search_writing"])
    assert results["ask_twin"].structured_content["citations"][0]["quote"] in NOTES[0]
    assert said(results["draft_as_author"]).startswith(TEXT)
    assert templates[0].uri_template == "twin://documents/{id}"
    assert len(listed) == len(NOTES)
    assert texts(contents)[0] in NOTES


@pytest.mark.parametrize("mode", ERAS)
async def test_a_home_without_an_index_says_what_to_run(tmp_path: Path, mode: str) -> None:
    async with spoken_to(tmp_path / "empty", mode=mode) as client:
        for tool, argument in (("search_writing", "query"), ("ask_twin", "question")):
            result = await client.call_tool(tool, {argument: QUESTION})
            assert "nothing is indexed yet; run 'twin run" in said(result, fails=True)
        assert (await client.list_resources()).resources == []
        with pytest.raises(MCPError, match="no resource"):
            await client.read_resource("twin://documents/1")


async def test_wrong_arguments_and_an_engine_that_quotes_are_told(home: Path) -> None:
    async with spoken_to(home, TWIN_CHAT__KIND="quotes") as client:
        wrong = await client.call_tool("ask_twin", {"query": QUESTION})
        draft = await client.call_tool("draft_as_author", {"instruction": "Write."})

    assert said(wrong, fails=True) == "question: Field required"
    assert "only quotes" in said(draft, fails=True)


@pytest.mark.parametrize("mode", ERAS)
async def test_a_long_answer_is_told_of_and_a_cancelled_one_ends(home: Path, mode: str) -> None:
    # One answer at a time: while the cancelled one goes on, no other could begin.
    pace = {"TWIN_CHAT__TOKENS_PER_S": "8", "TWIN_API__ANSWERS": "1"}
    async with spoken_to(home, mode=mode, **pace) as client:
        told: list[float] = []
        again: list[float] = []
        with anyio.CancelScope() as scope:

            async def tell(progress: float, total: float | None, message: str | None) -> None:
                told.append(progress)
                if len(told) == 3:
                    scope.cancel()

            await client.call_tool("ask_twin", {"question": QUESTION}, progress_callback=tell)
        with anyio.CancelScope() as second:

            async def tell_more(progress: float, total: float | None, message: str | None) -> None:
                again.append(progress)
                if progress > 0:
                    second.cancel()

            result = await client.call_tool("ask_twin", {"question": QUESTION}, None, tell_more)
            pytest.fail(said(result))

    assert scope.cancelled_caught
    assert told[0] == 0 < told[1] < told[2]
    assert again[0] == 0 < again[-1]


def test_only_the_protocol_is_on_stdout(started: Start) -> None:
    process = started(TWIN_PROGRESS="auto")
    greet(process)
    for number, arguments in enumerate(({"query": QUESTION}, {"query": ""}, {"nonsense": 1})):
        params = {"name": "search_writing", "arguments": arguments}
        send(process, "tools/call", id=f"call-{number}", params=params)
    assert process.stdin is not None
    process.stdin.write(b"this is no JSON\n[]\n\xff\xfe\n")
    process.stdin.flush()
    assert process.stdout is not None
    lines = [json.loads(process.stdout.readline()) for _ in range(3)]
    rest, _ = process.communicate(timeout=AT_ONCE_S)

    assert {line["id"] for line in lines} == {"call-0", "call-1", "call-2"}
    assert all(line["jsonrpc"] == "2.0" and "result" in line for line in lines)
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in rest.splitlines())
    assert process.returncode == 0


def test_a_client_is_greeted_though_nothing_can_be_loaded(started: Start) -> None:
    process = started(TWIN_EMBEDDER__KIND="openvino", TWIN_EMBEDDER__MODEL="no-such-folder")
    answer = greet(process)
    params = {"name": "search_writing", "arguments": {"query": QUESTION}}
    send(process, "tools/call", id=2, params=params)
    assert process.stdout is not None
    failed = json.loads(process.stdout.readline())["result"]

    assert answer["result"]["serverInfo"]["name"] == "llm-twin"
    assert failed["isError"]
    assert "no-such-folder" in failed["content"][0]["text"]
    assert "Traceback" not in failed["content"][0]["text"]


def test_a_client_that_closes_our_stdin_ends_us_in_the_middle_of_an_answer(started: Start) -> None:
    process = asked_slowly(started)
    before = time.monotonic()
    _, said_to_people = process.communicate(timeout=AT_ONCE_S)

    assert (process.returncode, time.monotonic() - before < AT_ONCE_S) == (0, True)
    assert b"Traceback" not in said_to_people


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_us_though_stdin_stays_open(
    started: Start, number: signal.Signals, code: int
) -> None:
    process = asked_slowly(started)
    process.send_signal(number)

    assert process.wait(AT_ONCE_S) == code
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()


def test_ctrl_c_ends_us_though_the_client_reads_nothing(started: Start) -> None:
    process = started()
    greet(process)
    for number in range(100):  # more than a pipe holds
        send(process, "tools/list", id=f"list-{number}")
    time.sleep(1)
    process.send_signal(signal.SIGINT)

    assert process.wait(AT_ONCE_S) == 130


def asked_slowly(started: Start) -> "subprocess.Popen[bytes]":
    """A process that is in the middle of an answer that takes minutes."""
    process = started(**SLOW)
    greet(process)
    call = {"name": "ask_twin", "arguments": {"question": QUESTION}, "_meta": {"progressToken": 1}}
    send(process, "tools/call", id=2, params=call)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["method"] == "notifications/progress"
    time.sleep(0.5)
    return process


def test_options_of_http_are_refused_without_it(home: Path) -> None:
    ended = subprocess.run(
        [*TWIN, "mcp", "--port", "1234"],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--host and --port are for --http" in ended.stderr
