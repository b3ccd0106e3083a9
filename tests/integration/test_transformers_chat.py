"""The twin answers in this process: what it says is what PEFT and generate say."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_engineering.domain.chat import ChatRequest, Completion, Message, Role, Sampling
from llm_engineering.domain.errors import BackendUnavailable, InvalidInput, NotFound
from llm_engineering.infrastructure.decoding.local_base import LocalBase
from llm_engineering.infrastructure.transformers_chat import TransformersChat
from tests.twin_homes import TwinHome

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of PEFT over transformers

TOKENS = 24


@pytest.fixture(autouse=True)
def _in_f32(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a batch computes what a row alone does."""
    import torch

    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)


@pytest.fixture
def home(tmp_path: Path) -> TwinHome:
    return TwinHome(tmp_path / "home")


@pytest.fixture
def chat(home: TwinHome) -> Iterator[TransformersChat]:
    opened = chat_of(home)
    yield opened
    opened.close()


def chat_of(home: TwinHome, **options: Any) -> TransformersChat:
    return TransformersChat(home.models, home=home.folder, device="cpu", **options)


def asked(
    number: int, *, model: str = "", max_tokens: int = TOKENS, **sampling: Any
) -> ChatRequest:
    question = f"write something about day {number} " * (1 + number % 3)
    return ChatRequest(
        messages=(
            Message(role=Role.SYSTEM, content="You are a twin."),
            Message(role=Role.USER, content=question),
        ),
        question=question,
        model=model,
        max_tokens=max_tokens,
        sampling=Sampling(**{"temperature": 0, **sampling}),
    )


def expected(home: TwinHome, request: ChatRequest, version: str) -> str:
    """What PEFT's model generates by itself."""
    import torch
    from peft import PeftModel

    from llm_engineering.recipes.bases import load_model, load_tokenizer
    from llm_engineering.recipes.rows import Turn
    from llm_engineering.recipes.turns import rendered_prompt
    from tests.integration.small_models import CPU

    base = str(home.folder / home.base)
    tokenizer: Any = load_tokenizer(base)
    turns = [
        Turn.model_validate({"role": m.role.value, "content": m.content}) for m in request.messages
    ]
    ids = tokenizer(
        rendered_prompt(tokenizer, turns), add_special_tokens=False, return_tensors="pt"
    )["input_ids"]
    adapter = home.models.adapter(version)
    model: Any = PeftModel.from_pretrained(load_model(base, CPU), str(adapter)).eval()
    with torch.no_grad():
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=request.max_tokens,
            do_sample=False,
            use_cache=True,
        )
    said: str = tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
    return said.strip()


async def said(chat: TransformersChat, request: ChatRequest) -> Completion:
    """The end of a streamed answer, whose pieces are its text."""
    pieces = [piece async for piece in chat.stream(request)]
    *deltas, last = pieces
    assert isinstance(last, Completion)
    assert "".join(delta.text for delta in deltas if not isinstance(delta, Completion)) == last.text
    return last


async def all_said(chat: TransformersChat, requests: list[ChatRequest]) -> list[Completion]:
    return list(await asyncio.gather(*(said(chat, request) for request in requests)))


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


def test_nothing_in_production_is_one_line_with_both_ways_out(
    home: TwinHome, chat: TransformersChat
) -> None:
    home.add(1)
    for use in (chat.models, lambda: chat.complete(asked(1)), lambda: chat.count_tokens("tea")):
        with pytest.raises(BackendUnavailable) as caught:
            use()
        assert "'twin model promote VERSION'" in str(caught.value)
        assert "TWIN_CHAT__KIND=quotes" in str(caught.value)
        assert "\n" not in str(caught.value)


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


def test_a_promoted_version_that_is_damaged_leaves_the_former_one_answering(
    home: TwinHome, chat: TransformersChat, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = home.add(1), home.add(2)
    home.promote(first)
    chat.complete(asked(1))
    home.promote(second)
    (home.folder / "models" / second / "adapter" / "adapter_model.safetensors").write_bytes(b"no")
    assert [chat.complete(asked(1)).model for _ in range(2)] == [first, first]
    assert [line for line in caplog.messages if "cannot be loaded" in line].__len__() == 1


def test_what_one_answer_breaks_breaks_no_other(
    home: TwinHome, chat: TransformersChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = home.add(1)
    home.promote(version)
    plain = LocalBase.logits

    def failing(self: LocalBase, ids: Any, positions: Any, **given: Any) -> Any:
        if (ids == poison).any():
            raise RuntimeError("out of memory")
        return plain(self, ids, positions, **given)

    requests = [asked(n) for n in range(5)]
    texts = [expected(home, request, version) for request in requests]
    poison = chat._versions.open().base.ids("7")[0]
    monkeypatch.setattr(LocalBase, "logits", failing)

    async def ask() -> list[Completion | BaseException]:
        return await asyncio.gather(
            *(said(chat, each) for each in (*requests, asked(7))), return_exceptions=True
        )

    *others, broken = asyncio.run(ask())
    assert isinstance(broken, BackendUnavailable)
    assert f"{version} failed while it answered: out of memory; ask again" == str(broken)
    good = [
        (each.text, text)
        for each, text in zip(others, texts, strict=True)
        if isinstance(each, Completion)
    ]
    assert good
    for text, wanted in good:
        assert text == wanted
    monkeypatch.setattr(LocalBase, "logits", plain)
    assert chat.complete(asked(7)).model == version
    assert chat.running == 0


def test_numbers_that_are_none_end_their_answer_alone(
    home: TwinHome, chat: TransformersChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = home.add(1)
    home.promote(version)
    plain = LocalBase.logits

    def failing(self: LocalBase, ids: Any, positions: Any, **given: Any) -> Any:
        out = plain(self, ids, positions, **given)
        if len(out) == 3:
            out[1] = float("nan")
        return out

    monkeypatch.setattr(LocalBase, "logits", failing)

    async def ask() -> list[Completion | BaseException]:
        return await asyncio.gather(
            *(said(chat, asked(n)) for n in range(3)), return_exceptions=True
        )

    answers = asyncio.run(ask())
    broken = [each for each in answers if isinstance(each, BackendUnavailable)]
    assert len(broken) == 1
    assert "computed no numbers" in str(broken[0])
    for number, each in enumerate(answers):
        if isinstance(each, Completion):
            assert each.text == expected(home, asked(number), version)


def test_a_conversation_that_leaves_no_room_says_so(home: TwinHome, chat: TransformersChat) -> None:
    home.promote(home.add(1))
    long = asked(1).model_copy(
        update={"messages": (Message(role=Role.USER, content="day " * 400),)}
    )
    with pytest.raises(InvalidInput, match=r"tokens and .* reads 128, the answer included"):
        chat.complete(long)


def test_an_answer_ends_with_the_models_window(home: TwinHome, chat: TransformersChat) -> None:
    home.promote(home.add(1))
    answer = chat.complete(asked(2, max_tokens=10_000))
    usage = answer.usage
    assert usage.prompt_tokens + usage.completion_tokens == 128 or answer.finish_reason == "stop"


@pytest.mark.parametrize(
    ("change", "said_of_it"),
    [
        ({"use_dora": True}, "asks for use_dora"),
        ({"bias": "all"}, "asks for bias"),
        ({"peft_type": "LOHA"}, "asks for LOHA"),
    ],
)
def test_an_adapter_of_another_kind_is_refused(
    home: TwinHome, chat: TransformersChat, change: dict[str, Any], said_of_it: str
) -> None:
    version = home.add(1)
    home.promote(version)
    config = home.folder / "models" / version / "adapter" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with pytest.raises(InvalidInput, match=said_of_it):
        chat.complete(asked(1))


def test_closing_ends_what_is_under_way_and_refuses_what_comes(
    home: TwinHome, chat: TransformersChat
) -> None:
    home.promote(home.add(1))

    async def ask() -> None:
        pieces = chat.stream(asked(3, max_tokens=80))
        await anext(pieces)
        await asyncio.to_thread(chat.close)
        with pytest.raises(BackendUnavailable, match="the transformers engine has ended"):
            [piece async for piece in pieces]

    asyncio.run(ask())
    with pytest.raises(BackendUnavailable, match="has ended"):
        chat.complete(asked(1))
    chat.close()
    assert not [each for each in threading.enumerate() if each.name == "generation"]
