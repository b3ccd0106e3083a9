"""A vLLM that stands in for the real one is started, watched, started again and ended."""

import asyncio
import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from llm_engineering.domain.chat import Delta
from llm_engineering.domain.errors import BackendUnavailable, NotFound
from llm_engineering.infrastructure.vllm_log import ServerLog
from tests.fake_vllm import WORDS
from tests.vllm_homes import CONTEXT, UP_S, TwinHome, answers, request, said
from tools.processes import identity, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")
"""httpcore leaves a Unix socket open on which nobody listens any more; it closes when collected."""


def test_the_version_in_production_answers_as_soon_as_the_server_is_ready(twin: TwinHome) -> None:
    twin.tell("loading_s", 0.3)
    version = twin.promote(twin.version(1))
    chat = twin.open()

    completion = chat.complete(request())

    assert set(completion.text.split()) == {version}
    assert completion.model == version
    assert chat.models() == (version,)
    assert chat.name == version
    assert chat.capabilities.context == CONTEXT
    assert chat.count_tokens("one two three") == 3
    (start,) = twin.told("starts")
    arguments = start["arguments"]
    assert f"{version}={twin.registry.adapter(version)}" in arguments
    assert arguments[arguments.index("--max-lora-rank") + 1] == "8"
    assert arguments[arguments.index("--max-model-len") + 1] == str(CONTEXT)
    assert "--enable-prefix-caching" in arguments


def test_the_key_is_on_no_command_line_and_in_no_log(
    twin: TwinHome, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    twin.promote(twin.version(1))
    said(twin.open())

    keys = {each["key"].removeprefix("Bearer ") for each in twin.told("requests")}
    (start,) = twin.told("starts")
    command = Path(f"/proc/{start['pid']}/cmdline").read_text()
    (key,) = keys
    assert len(key) >= 32
    assert key not in command
    assert key not in twin.log
    assert key not in caplog.text
    environment = Path(f"/proc/{start['pid']}/environ").read_text()
    assert key in environment
    assert "hunter2" not in environment


def test_its_socket_is_where_nobody_else_may_enter(twin: TwinHome) -> None:
    twin.promote(twin.version(1))
    said(twin.open())
    (start,) = twin.told("starts")
    arguments = start["arguments"]
    folder = Path(arguments[arguments.index("--uds") + 1]).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "--port" not in arguments
    twin.opened[0].close()
    assert not folder.exists()


def test_all_that_it_says_is_kept_and_its_steps_are_told(
    twin: TwinHome, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    version = twin.promote(twin.version(1))
    said(twin.open())

    assert "Starting to load model" in twin.log
    assert "(APIServer pid=" in twin.log
    told = [record.getMessage() for record in caplog.records]
    assert "vllm: loading the weights" in told
    assert any(line.startswith(f"vllm: {version} answers") for line in told)


def test_while_it_loads_somebody_impatient_is_told_when_to_ask_again(twin: TwinHome) -> None:
    twin.tell("loading_s", 2)
    twin.promote(twin.version(1))
    chat = twin.open()
    chat._wait_s = 0

    with pytest.raises(BackendUnavailable, match=r"still loading.*ask again in \d+ s") as told:
        chat.complete(request())
    assert told.value.retry_after_s is not None
    assert wait_until(lambda: answers(chat, chat.name), UP_S)


def test_nothing_in_production_is_one_line(twin: TwinHome) -> None:
    twin.version(1)
    with pytest.raises(NotFound, match="twin model promote"):
        twin.open()


@pytest.mark.parametrize("victim", ["pid", "engine"])
def test_a_server_that_is_killed_is_started_again(twin: TwinHome, victim: str) -> None:
    version = twin.promote(twin.version(1))
    chat = twin.open()
    said(chat)
    (start,) = twin.told("starts")
    if victim == "engine":
        os.kill(start["engine"], signal.SIGKILL)
    os.kill(start["pid"], signal.SIGKILL)

    assert wait_until(lambda: len(twin.told("starts")) == 2, UP_S)
    assert wait_until(lambda: answers(chat, version), UP_S)
    assert identity(start["engine"]) is None


def test_a_server_whose_engine_is_dead_is_exchanged_before_it_ends_itself(twin: TwinHome) -> None:
    twin.promote(twin.version(1))
    chat = twin.open()
    said(chat)
    twin.tell("sick")
    chat._keeper.doubt()

    assert wait_until(lambda: identity(twin.told("starts")[0]["pid"]) is None, UP_S)
    (twin.fake / "sick").unlink()
    assert wait_until(lambda: answers(chat, chat.name), UP_S)


def test_an_answer_that_is_under_way_when_it_is_killed_ends_with_an_error(twin: TwinHome) -> None:
    version = twin.promote(twin.version(1))
    chat = twin.open()
    said(chat)
    twin.tell("pause_s", 0.1)
    (start,) = twin.told("starts")

    heard: list[str] = []

    async def killed_mid_stream() -> None:
        async for piece in chat.stream(request()):
            assert isinstance(piece, Delta)
            heard.extend(piece.text.split())
            os.kill(start["pid"], signal.SIGKILL)

    with pytest.raises(BackendUnavailable, match=r"in the middle.*ask again"):
        asyncio.run(killed_mid_stream())
    assert set(heard) == {version}
    assert len(heard) < WORDS
    assert wait_until(lambda: answers(chat, version), UP_S)


def test_a_server_that_cannot_start_is_given_up_with_its_last_word(twin: TwinHome) -> None:
    twin.tell("refuses")
    twin.promote(twin.version(1))
    chat = twin.open()

    began = time.monotonic()
    with pytest.raises(BackendUnavailable) as given_up:
        chat.complete(request())

    assert "3 times in a row" in str(given_up.value)
    assert "ValueError: No supported architecture in config.json" in str(given_up.value)
    assert str(twin.home / "logs" / "vllm.log") in str(given_up.value)
    assert "\n" not in str(given_up.value)
    assert len(twin.told("starts")) == 3
    assert time.monotonic() - began > 0.1  # the second pause
    time.sleep(0.5)
    assert len(twin.told("starts")) == 3


def test_another_promotion_ends_giving_up(twin: TwinHome) -> None:
    twin.tell("refuses")
    first, second = twin.version(1), twin.version(2)
    twin.promote(first)
    chat = twin.open()
    with pytest.raises(BackendUnavailable, match="in a row"):
        chat.complete(request())

    (twin.fake / "refuses").unlink()
    twin.promote(second)

    assert wait_until(lambda: answers(chat, second), UP_S)


def test_a_reader_who_leaves_gives_its_place_back(twin: TwinHome) -> None:
    twin.promote(twin.version(1))
    chat = twin.open()
    said(chat)
    twin.tell("pause_s", 0.05)

    async def one_piece() -> None:
        pieces = chat.stream(request())
        await anext(pieces)
        await pieces.aclose()

    asyncio.run(one_piece())
    lane = chat._keeper.lanes.current
    assert lane is not None
    assert lane.under_way == 0


def test_a_version_that_no_server_can_hold_is_given_up_at_once(
    twin: TwinHome, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    temporary = twin.folder / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    twin.promote(twin.version(1, r=1_024))
    chat = twin.open()

    with pytest.raises(BackendUnavailable, match="the adapter has rank 1024 and vLLM takes 512"):
        chat.complete(request())

    time.sleep(0.3)  # many looks
    assert len([each for each in caplog.messages if "rank 1024" in each]) == 1
    assert list(temporary.iterdir()) == []


def test_a_start_that_the_system_refuses_is_tried_again(
    twin: TwinHome, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    version = twin.promote(twin.version(1))
    with monkeypatch.context() as full:
        full.setattr(tempfile, "tempdir", str(twin.folder / "gone"))
        chat = twin.open()
        assert wait_until(lambda: "could not be started" in caplog.text, UP_S)

    assert wait_until(lambda: answers(chat, version), UP_S)


def test_a_log_that_cannot_be_written_costs_lines_and_no_server(
    twin: TwinHome, caplog: pytest.LogCaptureFixture
) -> None:
    version = twin.promote(twin.version(1))
    twin.home.mkdir(exist_ok=True)
    (twin.home / "logs").write_text("where a folder should be")
    chat = twin.open()

    assert wait_until(lambda: answers(chat, version), UP_S)
    assert len([each for each in caplog.messages if "lines are lost" in each]) == 1


def test_a_log_is_written_again_when_it_can_be(tmp_path: Path) -> None:
    log = ServerLog(tmp_path / "logs" / "vllm.log")
    (tmp_path / "logs").write_text("where a folder should be")
    log.says("one")
    (tmp_path / "logs").unlink()
    log.says("two")

    assert log.path.read_text() == "two\n"
    assert log.last_words == "two"
