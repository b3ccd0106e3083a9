"""What goes wrong with an answer in this process is told in one line and stays with that answer."""

import asyncio
import json
import threading
from typing import Any

import pytest

from llm_engineering.domain.chat import Completion, Message, Role
from llm_engineering.domain.errors import BackendUnavailable, InvalidInput
from llm_engineering.infrastructure.decoding.local_base import LocalBase
from llm_engineering.infrastructure.transformers_chat import TransformersChat
from tests.integration.in_process import asked, expected, said
from tests.twin_homes import TwinHome

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of PEFT over transformers


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


def test_a_promoted_version_that_is_damaged_leaves_the_former_one_answering(
    home: TwinHome, chat: TransformersChat, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = home.add(1), home.add(2)
    home.promote(first)
    chat.complete(asked(1))
    home.promote(second)
    (home.folder / "models" / second / "adapter" / "adapter_model.safetensors").write_bytes(b"no")
    assert [chat.complete(asked(1)).model for _ in range(2)] == [first, first]
    told = [line for line in caplog.messages if "cannot be loaded" in line]
    assert len(told) == 1
    assert told[0].startswith(f"{second} was promoted")


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
