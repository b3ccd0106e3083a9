"""What only an endpoint of SageMaker does: what goes out, how its streams are cut, how it fails."""

import asyncio
import json
import time
from collections.abc import Iterator

import pytest
from botocore.stub import Stubber

from llm_engineering.bootstrap import App
from llm_engineering.domain.chat import Completion
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.infrastructure.event_lines import EventLines
from llm_engineering.infrastructure.sagemaker_chat import SageMakerChat
from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from llm_engineering.settings import SageMakerChatSettings, Settings
from tests.contract.chat_engines import asked, sagemaker_chat, words_of
from tests.contract.speaking_server import ENDPOINT, Speaking, speaking_server

SECRET = "hush-hush"


@pytest.fixture
def server(aws_keys: None) -> Iterator[Speaking]:
    with speaking_server(ScriptedChat(words_of, named=("ada",))) as running:
        yield running


@pytest.fixture
def chat(server: Speaking) -> SageMakerChat:
    return sagemaker_chat(server.url)


async def heard(chat: SageMakerChat) -> Completion:
    last = [piece async for piece in chat.stream(asked(1))][-1]
    assert isinstance(last, Completion)
    return last


def trouble(chat: SageMakerChat, *, streamed: bool) -> str:
    with pytest.raises(BackendUnavailable) as caught:
        asyncio.run(heard(chat)) if streamed else chat.complete(asked(1))
    line = str(caught.value)
    assert "\n" not in line
    assert SECRET not in line
    return line


def test_openais_body_goes_out_signed(server: Speaking) -> None:
    asyncio.run(heard(sagemaker_chat(server.url, component="twin-0")))
    (body,), (headers,) = server.asked, server.headers
    assert body["messages"][1] == {"role": "user", "content": "write something about day 1"}
    assert (body["model"], body["stream"]) == ("ada", True)
    assert body["stream_options"] == {"include_usage": True}
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDTWIN/")
    assert headers["x-amzn-sagemaker-inference-component"] == "twin-0"
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("width", [1, 2, 7, 1000])
def test_lines_are_put_together_whatever_the_cuts(width: int) -> None:
    said = {"delta": "naïve café — №\n7"}
    text = f": a comment\r\n\r\ndata: {json.dumps(said, ensure_ascii=False)}\r\n\r\n"
    whole = (text * 2 + "data: [DONE]\n\ndata: {}\n").encode()
    lines = EventLines()
    found = [
        data
        for start in range(0, len(whole), width)
        for data in lines.feed(whole[start : start + width])
    ]
    assert [json.loads(data) for data in [*found, *lines.end()]] == [said, said]
    assert lines.ended


def test_a_last_line_without_its_end_is_read() -> None:
    lines = EventLines()
    assert list(lines.feed(b"data: 1\ndata: 2")) == ["1"]
    assert list(lines.end()) == ["2"]


@pytest.mark.parametrize("kind", ["ModelStreamError", "InternalStreamFailure"])
def test_an_error_in_the_middle_of_a_stream_is_told(
    server: Speaking, chat: SageMakerChat, kind: str
) -> None:
    server.error = kind, "the container\nran out of memory"
    line = trouble(chat, streamed=True)
    assert line == (
        f"the SageMaker endpoint {ENDPOINT!r} broke off: the container ran out of memory; ask again"
    )


@pytest.mark.parametrize(
    ("code", "status", "message", "told"),
    [
        ("ValidationError", 400, f"Endpoint {ENDPOINT} of account 1 not found.", "not found."),
        ("ThrottlingException", 400, "slow down", "too busy to invoke the endpoint"),
        ("AccessDeniedException", 400, "no", "allow it in IAM"),
        ("ExpiredTokenException", 403, "old", "renew them"),
        ("ServiceUnavailable", 503, "", "try again"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_aws_refuses_is_the_servers_trouble_not_the_askers(
    chat: SageMakerChat, code: str, status: int, message: str, told: str, streamed: bool
) -> None:
    call = "invoke_endpoint_with_response_stream" if streamed else "invoke_endpoint"
    with Stubber(chat._client) as stub:
        stub.add_client_error(call, code, message, status)
        line = trouble(chat, streamed=streamed)
    assert told in line
    assert "TWIN_JOBS" not in line


@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        (500, '{"error": {"message": "CUDA out\\nof memory"}}', "failed (HTTP 500): CUDA out of"),
        (400, '{"message": "context of 2048 is too short"}', "refuses the request (HTTP 400): co"),
        (503, "", "failed (HTTP 503): it does not say why; look at its log"),
    ],
)
def test_what_the_container_says_is_passed_on(
    chat: SageMakerChat, status: int, said: str, told: str
) -> None:
    with Stubber(chat._client) as stub:
        stub.add_client_error(
            "invoke_endpoint",
            "ModelError",
            "Received an error from primary",
            424,
            modeled_fields={"OriginalStatusCode": status, "OriginalMessage": said},
        )
        assert told in trouble(chat, streamed=False)


def test_an_endpoint_that_is_silent_is_given_up(server: Speaking) -> None:
    server.chat.first_token_s = 5
    chat = sagemaker_chat(server.url, timeout_s=0.2)
    for streamed in (False, True):
        line = trouble(chat, streamed=streamed)
        assert "did not answer within 0.2 s; raise TWIN_CHAT__TIMEOUT_S" in line
    assert len(server.asked) == 2, "nothing is asked twice"


def test_an_answer_that_is_left_before_its_first_token_is_not_made(
    server: Speaking, chat: SageMakerChat
) -> None:
    server.chat.first_token_s = 5

    async def leave() -> float:
        reading = asyncio.create_task(heard(chat))
        while not server.chat.running:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)  # it waits for a part
        left = time.perf_counter()
        reading.cancel()
        while server.chat.running:
            await asyncio.sleep(0.005)
        return time.perf_counter() - left

    assert asyncio.run(leave()) < 1


def test_nobody_at_the_address_is_one_line(aws_keys: None) -> None:
    for streamed in (False, True):
        line = trouble(sagemaker_chat("http://127.0.0.1:9"), streamed=streamed)
        assert "AWS does not answer" in line
        assert "TWIN_CHAT__REGION" in line


def test_the_settings_make_it(server: Speaking) -> None:
    settings = SageMakerChatSettings(
        kind="sagemaker", endpoint=ENDPOINT, model="ada", endpoint_url=server.url
    )
    app = App(Settings(chat=settings))
    assert app.chat.complete(asked(1)).text
    assert server.asked[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert app.chat.models() == ("ada",)
    app.close()
