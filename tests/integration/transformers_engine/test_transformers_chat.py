"""The twin answers in this process: what it says is what PEFT and generate say."""

import asyncio
from pathlib import Path

import pytest

from llm_engineering.domain.chat import Completion
from llm_engineering.domain.errors import NotFound
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from llm_engineering.infrastructure.transformers_chat import TransformersChat
from tests.integration.in_process import all_said, asked, chat_of, expected, said
from tests.twin_homes import TwinHome

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of PEFT over transformers


@pytest.mark.parametrize("embeddings", [False, True], ids=["low rank", "with its embeddings"])
def test_versions_share_a_batch_and_each_says_what_it_says_alone(
    home: TwinHome, chat: TransformersChat, embeddings: bool
) -> None:
    versions = [home.add(1, embeddings=embeddings), home.add(2)]
    home.promote(versions[0])
    requests = [asked(n, model=versions[n % 2] if n else "") for n in range(7)]

    answers = asyncio.run(all_said(chat, requests))

    told = {answer.text for answer in answers}
    assert len(told) > 2, "the adapters say something, and different things"
    for number, (request, answer) in enumerate(zip(requests, answers, strict=True)):
        assert answer.model == versions[number % 2]
        assert answer.text == expected(home, request, versions[number % 2])


def test_a_long_prompt_is_read_in_parts_while_others_are_answered(
    home: TwinHome, chat: TransformersChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_engineering.infrastructure.decoding import row_batch

    monkeypatch.setitem(row_batch.PROMPT_TOKENS, "cpu", 16)
    version = home.add(1)
    home.promote(version)
    requests = [asked(n, max_tokens=8 + n) for n in range(6)]
    answers = asyncio.run(all_said(chat, requests))
    assert [answer.text for answer in answers] == [
        expected(home, request, version) for request in requests
    ]


def test_models_are_the_versions_over_the_base_in_production_it_first(
    home: TwinHome, chat: TransformersChat
) -> None:
    older, newer = home.add(1), home.add(2)
    stranger = TwinHome(home.folder, width=64).add(3)
    home.promote(older)
    assert chat.models() == (older, newer)
    assert chat.count_tokens("the sea is wide") > 0
    with pytest.raises(NotFound, match=f"no model 'sft-nobody' .* but '{older}', '{newer}'"):
        chat.complete(asked(1, model="sft-nobody"))
    with pytest.raises(NotFound, match="over the base that is in production"):
        chat.complete(asked(1, model=stranger))
    home.promote(newer)
    assert chat.models() == (newer, older)


def test_a_promotion_under_load_drops_nothing_and_mixes_nothing(home: TwinHome) -> None:
    first, second = home.add(1), home.add(2)
    home.promote(first)
    chat = chat_of(home, rows=16)
    expected_of = {
        version: [expected(home, asked(n), version) for n in range(6)]
        for version in (first, second)
    }

    async def ask() -> list[tuple[int, Completion]]:
        answers = []
        for round_ in range(10):
            if round_ == 4:
                home.promote(second)
            numbers = [n % 6 for n in range(20)]
            done = await all_said(chat, [asked(n) for n in numbers])
            answers += list(zip(numbers, done, strict=True))
        return answers

    answers = asyncio.run(ask())
    chat.close()
    assert len(answers) == 200
    assert {answer.model for _, answer in answers} == {first, second}
    assert answers[-1][1].model == second
    for number, answer in answers:
        assert answer.text == expected_of[answer.model][number]


def test_an_answer_under_way_ends_with_the_version_that_began_it(
    home: TwinHome, chat: TransformersChat
) -> None:
    first, second = home.add(1), home.add(2)
    home.promote(first)
    request = asked(3, max_tokens=60)

    async def ask() -> tuple[Completion, Completion]:
        pieces = chat.stream(request)
        await anext(pieces)
        home.promote(second)
        after = await said(chat, request)
        last = [piece async for piece in pieces][-1]
        assert isinstance(last, Completion)
        return last, after

    before, after = asyncio.run(ask())
    assert (before.model, after.model) == (first, second)
    assert before.text == expected(home, request, first)
    assert after.text == expected(home, request, second)


def test_a_promotion_to_another_base_is_followed(home: TwinHome, chat: TransformersChat) -> None:
    first = home.add(1)
    home.promote(first)
    assert chat.complete(asked(1)).model == first
    other = TwinHome(home.folder, width=64)
    second = other.add(2)
    other.promote(second)
    answer = chat.complete(asked(1))
    assert (answer.model, answer.text) == (second, expected(other, asked(1), second))


def test_versions_that_were_not_asked_for_lately_are_let_go_but_not_production(
    home: TwinHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = [home.add(number) for number in range(1, 5)]
    home.promote(versions[0])
    chat = chat_of(home, adapters=2)
    read: list[str] = []
    plain = FolderModelRegistry.adapter

    def reading(registry: FolderModelRegistry, version: str) -> Path:
        read.append(version)
        return plain(registry, version)

    monkeypatch.setattr(FolderModelRegistry, "adapter", reading)
    for version in ("", versions[1], "", versions[2], "", versions[1], versions[1]):
        chat.complete(asked(1, model=version, max_tokens=1))
    chat.close()
    assert read == [versions[0], versions[1], versions[2], versions[1]]


def test_a_tainted_version_is_served_in_production_only(
    home: TwinHome, chat: TransformersChat
) -> None:
    first, second = home.add(1), home.add(2)
    home.promote(first)
    assert chat.models() == (first, second)
    home.models.taint({"d1"}, reason="d1 was forgotten")
    assert chat.models() == (first,)
    assert chat.complete(asked(1)).model == first
    with pytest.raises(NotFound):
        chat.complete(asked(1, model=second))


def test_an_answer_ends_with_the_models_window(home: TwinHome, chat: TransformersChat) -> None:
    home.promote(home.add(1))
    answer = chat.complete(asked(2, max_tokens=10_000))
    usage = answer.usage
    assert usage.prompt_tokens + usage.completion_tokens == 128 or answer.finish_reason == "stop"
