"""The twin over a real vLLM server, on the CPU where there is nothing else.

`make vllm-env` makes its environment; TWIN_TEST_VLLM names another one's `vllm`.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.chat import (
    ChatRequest,
    Completion,
    Message,
    Role,
    Sampling,
)
from llm_engineering.domain.errors import BackendUnavailable, TwinError
from llm_engineering.domain.training import LoraRule
from llm_engineering.infrastructure.vllm_chat import VllmChat
from llm_engineering.recipes.adapters import with_lora
from llm_engineering.recipes.bases import load_model, load_tokenizer
from llm_engineering.recipes.rows import Turn
from llm_engineering.recipes.turns import rendered_prompt
from tests.integration.small_models import CPU, DISLIKED, LIKED, prompt
from tests.real_vllm import (
    RECORDED,
    ROOT,
    START_S,
    RealHome,
    executable,
    metric,
    processes_of,
    server_of,
)
from tests.vllm_homes import request, streamed
from tools.processes import identity, wait_until

for package in ("torch", "peft"):
    pytest.importorskip(package)

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(executable() is None, reason="no vLLM; 'make vllm-env', or TWIN_TEST_VLLM"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:unclosed <socket:ResourceWarning"),
]
AT_ONCE = 200
LONG = 400
"""Tokens, of a context of 512."""


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> RealHome:
    made = RealHome(tmp_path_factory.mktemp("real") / "home")
    made.promote(made.likes)
    return made


@pytest.fixture(scope="module")
def real(twin: RealHome) -> Iterator[VllmChat]:
    opened = twin.open()
    yield opened
    server = server_of(opened)
    opened.close()
    assert processes_of(server) == {}


@pytest.fixture
def chat(real: VllmChat, twin: RealHome) -> VllmChat:
    """With `likes` in production."""
    promoted(real, twin, twin.likes)
    return real


def promoted(chat: VllmChat, twin: RealHome, version: str) -> None:
    twin.promote(version)
    assert wait_until(lambda: _says_something(chat) and chat.models()[0] == version, START_S)


def _says_something(chat: VllmChat) -> bool:
    with suppress(BackendUnavailable):
        return bool(chat.count_tokens("anything"))
    return False


def turns_of(messages: list[dict[str, str]]) -> list[Turn]:
    return [Turn.model_validate(each) for each in messages]


def answered(chat: VllmChat, request: ChatRequest) -> str:
    """By which version; '' when none answers now."""
    with suppress(BackendUnavailable):
        return chat.complete(request).model
    return ""


def asked(number: int = 1, *, max_tokens: int = 40, **sampling: Any) -> ChatRequest:
    turns = [Message(role=Role(each["role"]), content=each["content"]) for each in prompt(number)]
    return ChatRequest(
        messages=tuple(turns),
        question=turns[-1].content,
        max_tokens=max_tokens,
        sampling=Sampling(**{"temperature": 0.0, **sampling}),
    )


def test_an_answer_comes_in_pieces_with_its_usage(chat: VllmChat, twin: RealHome) -> None:
    pieces, completion = asyncio.run(streamed(chat, asked()))

    assert len(pieces) > 3
    assert "".join(pieces).strip() == completion.text == LIKED
    assert (completion.finish_reason, completion.model) == ("stop", twin.likes)
    tokenizer = load_tokenizer(str(twin.base))
    shown = rendered_prompt(tokenizer, turns_of(prompt(1)))
    assert completion.usage.prompt_tokens == len(tokenizer(shown)["input_ids"])
    assert completion.usage.completion_tokens == len(tokenizer(LIKED)["input_ids"]) + 1
    assert chat.complete(asked()).text == LIKED
    server = server_of(chat)
    counted = {chat.count_tokens(LIKED), server.chat.count_tokens(LIKED)}
    assert counted == {len(tokenizer(LIKED)["input_ids"])}


def test_it_reads_the_tokens_that_training_read(chat: VllmChat, twin: RealHome) -> None:
    tokenizer = load_tokenizer(str(twin.base))
    conversations = [
        prompt(3),
        [{"role": "user", "content": "no system message, “quotes”, ünïcödé \n and <|im_end|>"}],
        [*prompt(1), {"role": "assistant", "content": LIKED}, {"role": "user", "content": "more"}],
    ]
    for turns in conversations:
        shown = rendered_prompt(tokenizer, turns_of(turns))
        body = {"model": chat.name, "messages": turns}
        told = server_of(chat)._client.post("/tokenize", json=body).json()
        assert told["tokens"] == tokenizer(shown, add_special_tokens=False)["input_ids"]


def test_a_stop_word_ends_the_answer_before_it(chat: VllmChat) -> None:
    completion = chat.complete(asked(stop=("blue",)))
    assert completion.text == LIKED.partition("blue")[0].strip()
    assert completion.finish_reason == "stop"


def test_max_tokens_ends_it_and_says_so(chat: VllmChat) -> None:
    completion = chat.complete(asked(max_tokens=3))
    assert completion.finish_reason == "length"
    assert completion.usage.completion_tokens == 3


def test_a_seed_repeats_an_answer(real: VllmChat, twin: RealHome) -> None:
    promoted(real, twin, twin.rambles)
    by_seed = [
        [real.complete(asked(temperature=1.0, seed=seed)).text for _ in range(2)]
        for seed in range(3)
    ]
    assert all(first == second for first, second in by_seed)
    assert len({first for first, _ in by_seed}) == 3


def test_more_tokens_than_the_context_holds_are_as_many_as_it_holds(
    real: VllmChat, twin: RealHome
) -> None:
    promoted(real, twin, twin.rambles)
    assert real.capabilities.context == 512
    completion = real.complete(asked(max_tokens=100_000, temperature=1.0, seed=1))
    assert 0 < completion.usage.completion_tokens < 512


def test_a_prompt_that_is_too_long_is_one_line(chat: VllmChat) -> None:
    with pytest.raises(TwinError, match="maximum context length is 512") as refused:
        chat.complete(request("word " * 600))
    assert "\n" not in str(refused.value)


def test_a_reader_who_leaves_ends_the_work(real: VllmChat, twin: RealHome) -> None:
    promoted(real, twin, twin.recites)
    server = server_of(real)
    generated = metric(server, "generation_tokens_total")

    async def leave() -> None:
        pieces = real.stream(asked(max_tokens=LONG))
        await anext(pieces)
        # The gauge follows the engine at some distance.
        assert wait_until(lambda: metric(server, "num_requests_running") == 1, 5)
        await pieces.aclose()

    asyncio.run(leave())

    assert wait_until(lambda: metric(server, "num_requests_running") == 0, 5)
    assert metric(server, "generation_tokens_total") < generated + LONG / 2


def test_what_prompts_begin_with_is_read_once(chat: VllmChat) -> None:
    server = server_of(chat)
    long = request("the sea is wide and blue and calm " * 30)
    before = metric(server, "prefix_cache_hits_total")
    for _ in range(2):
        chat.complete(long)
    assert metric(server, "prefix_cache_hits_total") > before


def test_a_promotion_under_200_requests_drops_none_and_mixes_none(
    chat: VllmChat, twin: RealHome
) -> None:
    async def all_of_them() -> list[tuple[list[str], Completion]]:
        async def one(number: int) -> tuple[list[str], Completion]:
            await asyncio.sleep(number * 0.02)
            if number == AT_ONCE // 4:
                twin.promote(twin.dislikes)
            return await streamed(chat, asked(number))

        return await asyncio.gather(*(one(number) for number in range(AT_ONCE)))

    heard = asyncio.run(all_of_them())

    sentences = {twin.likes: LIKED, twin.dislikes: DISLIKED}
    assert len(heard) == AT_ONCE
    for pieces, completion in heard:
        assert "".join(pieces).strip() == completion.text == sentences[completion.model]
    assert {completion.model for _, completion in heard} == set(sentences)
    assert heard[-1][1].model == twin.dislikes
    assert wait_until(lambda: chat.models() == (twin.dislikes,), 60)
    listed = server_of(chat)._client.get("/v1/models").json()["data"]
    assert wait_until(lambda: twin.likes not in [each["id"] for each in listed], 60)


def test_an_engine_that_is_killed_mid_stream_ends_the_answer_and_comes_back(
    real: VllmChat, twin: RealHome
) -> None:
    promoted(real, twin, twin.recites)
    found = processes_of(server_of(real))
    (engine,) = (pid for pid, command in found.items() if "EngineCore" in command)

    async def killed_mid_stream() -> None:
        async for _ in real.stream(asked(max_tokens=LONG)):
            with suppress(ProcessLookupError):
                os.kill(engine, signal.SIGKILL)

    with pytest.raises(BackendUnavailable) as broken:
        asyncio.run(killed_mid_stream())

    assert "\n" not in str(broken.value)
    assert wait_until(lambda: answered(real, asked()) == twin.recites, START_S)
    assert all(identity(pid) is None for pid in found)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_merged_version_answers_and_dies_with_whoever_started_it(
    twin: RealHome, tmp_path: Path
) -> None:
    """Learnt embeddings, n-gram speculation, and `kill -9` of the process that serves."""
    shutil.copytree(twin.home, tmp_path / "home")  # another server watches that one
    twin = RealHome.at(tmp_path / "home")
    rule = LoraRule(rank=4, alpha=8, embeddings=True)
    adapted = with_lora(load_model(str(twin.home / RECORDED), CPU), rule, seed=0)
    adapted.save_pretrained(str(twin.home / "made" / "whole"))
    version = twin.add(twin.home / "made" / "whole")
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.real_vllm", str(twin.home), version],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        said, pids = owner.stdout.readline().strip(), owner.stdout.readline().split()
        owner.kill()

    assert said in (LIKED, DISLIKED)
    assert len(pids) >= 2
    assert wait_until(lambda: all(identity(int(pid)) is None for pid in pids), 30)
    assert (twin.home / "serving" / version.rpartition("-")[2] / "config.json").is_file()
