"""A promotion reaches a running vLLM, the stand-in's, without dropping a request."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.chat import Completion
from llm_engineering.domain.errors import BackendUnavailable, NotFound
from llm_engineering.domain.training import MODEL, MergeJob
from tests.fake_vllm import WORDS
from tests.vllm_homes import UP_S, TwinHome, answers, request, said, streamed
from tools.processes import identity, wait_until

AT_ONCE = 200

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")
"""httpcore leaves a Unix socket open on which nobody listens any more; it closes when collected."""


def test_a_promotion_under_200_requests_drops_none_and_mixes_none(twin: TwinHome) -> None:
    first, second = twin.version(1), twin.version(2)
    twin.promote(first)
    chat = twin.open()
    said(chat)
    twin.tell("pause_s", 0.05)

    async def all_of_them() -> list[tuple[list[str], Completion]]:
        async def one(number: int) -> tuple[list[str], Completion]:
            await asyncio.sleep(number * 0.01)
            if number == AT_ONCE // 3:
                twin.promote(second)
            return await streamed(chat, request())

        return await asyncio.gather(*(one(number) for number in range(AT_ONCE)))

    heard = asyncio.run(all_of_them())

    assert len(heard) == AT_ONCE
    by = [set("".join(pieces).split()) for pieces, _ in heard]
    assert all(
        words == {completion.model} for words, (_, completion) in zip(by, heard, strict=True)
    )
    assert all(len("".join(pieces).split()) == WORDS for pieces, _ in heard)
    assert set.union(*by) == {first, second}
    assert by[-1] == {second}
    assert wait_until(lambda: chat.models() == (second,), UP_S)
    assert wait_until(
        lambda: "/v1/unload_lora_adapter" in [each["path"] for each in twin.told("requests")], UP_S
    )
    assert len(twin.told("starts")) == 1


def test_an_old_version_can_be_named_until_it_is_unloaded(twin: TwinHome) -> None:
    first, second = twin.version(1), twin.version(2)
    twin.promote(first)
    chat = twin.open()
    said(chat)
    twin.promote(second)
    assert wait_until(lambda: chat.models()[0] == second, UP_S)

    assert chat.models() == (second, first)
    assert set(said(chat, model=first).split()) == {first}
    assert wait_until(lambda: chat.models() == (second,), UP_S)
    with pytest.raises(NotFound, match=f"no version '{first}' is served but '{second}'"):
        said(chat, model=first)


def test_going_back_to_a_version_that_is_still_loaded_keeps_it(twin: TwinHome) -> None:
    first, second = twin.version(1), twin.version(2)
    twin.promote(first)
    chat = twin.open()
    said(chat)
    for version in (second, first):
        twin.promote(version)
        assert wait_until(lambda: chat.models()[0] == chat.name, UP_S)
    assert wait_until(lambda: chat.models() == (first,), UP_S)
    time.sleep(0.5)
    assert set(said(chat).split()) == {first}


def test_after_a_swap_a_server_that_is_started_again_holds_the_new_version(twin: TwinHome) -> None:
    first, second = twin.version(1), twin.version(2)
    twin.promote(first)
    chat = twin.open()
    said(chat)
    twin.promote(second)
    assert wait_until(lambda: answers(chat, second), UP_S)

    os.kill(twin.told("starts")[0]["pid"], signal.SIGKILL)

    assert wait_until(lambda: len(twin.told("starts")) == 2, UP_S)
    assert wait_until(lambda: answers(chat, second), UP_S)
    assert any(each.startswith(f"{second}=") for each in twin.told("starts")[1]["arguments"])


@pytest.mark.parametrize(
    "other", [{"base": "another"}, {"r": 64}], ids=["another base", "a higher rank"]
)
def test_a_version_that_does_not_fit_gets_a_server_beside_the_old_one(
    twin: TwinHome, other: dict[str, Any]
) -> None:
    first = twin.promote(twin.version(1))
    chat = twin.open()
    said(chat)
    twin.tell("loading_s", 0.5)
    second = twin.promote(twin.version(2, **other))

    seen = set[str]()
    deadline = time.monotonic() + UP_S
    while second not in seen and time.monotonic() < deadline:
        seen |= set(said(chat).split())  # raises where nothing answers

    assert seen == {first, second}
    assert len(twin.told("starts")) == 2
    assert wait_until(lambda: identity(twin.told("starts")[0]["pid"]) is None, UP_S)


def test_where_only_one_server_fits_the_old_one_ends_before(twin: TwinHome) -> None:
    twin.promote(twin.version(1))
    chat = twin.open(gpu=True, gpu_memory=0.9)
    said(chat)
    twin.tell("loading_s", 0.5)
    second = twin.promote(twin.version(2, base="another"))
    refused = ""

    def exchanged() -> bool:
        nonlocal refused
        try:
            return set(said(chat).split()) == {second}
        except BackendUnavailable as error:
            refused = str(error)
            return False

    assert wait_until(exchanged, UP_S)
    assert "vLLM is exchanged" in refused
    assert identity(twin.told("starts")[0]["pid"]) is None


def test_a_version_that_fails_to_load_leaves_the_old_one_answering(twin: TwinHome) -> None:
    first = twin.promote(twin.version(1))
    chat = twin.open()
    said(chat)
    twin.tell("refuses")
    twin.promote(twin.version(2, base="another"))

    assert wait_until(lambda: len(twin.told("starts")) == 4, UP_S)
    time.sleep(0.5)
    assert len(twin.told("starts")) == 4
    assert set(said(chat).split()) == {first}


def test_an_adapter_with_learnt_embeddings_is_merged_once_and_served_whole(twin: TwinHome) -> None:
    merged: list[MergeJob] = []

    def merge(job: MergeJob, folder: Path) -> None:
        merged.append(job)
        (folder / MODEL).mkdir()
        (folder / MODEL / "config.json").write_text('{"max_position_embeddings": 512}')

    twin.merge = merge
    version = twin.promote(twin.version(1, modules_to_save=["embed_tokens"]))
    first = twin.open()
    assert set(said(first).split()) == {version}
    first.close()
    second = twin.open()
    assert set(said(second).split()) == {version}

    assert [job.adapter for job in merged] == [twin.registry.adapter(version)]
    assert second.capabilities.context == 512
    kept = twin.home / "serving" / version.rpartition("-")[2]
    for start in twin.told("starts"):
        assert start["arguments"][1] == str(kept)
        assert "--enable-lora" not in start["arguments"]
