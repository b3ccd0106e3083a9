"""What every engine does, whatever it is: streams in order, stops where it is told, lets go."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from llm_engineering.domain.chat import ChatRequest, Completion, Delta
from llm_engineering.domain.errors import BackendUnavailable, NotFound
from llm_engineering.ports.models import ChatModel
from tests.contract.chat_engines import ENGINES, GENERATING, STEP_S, Engine, asked, engine_of

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of PEFT over transformers

those_that_generate = pytest.mark.parametrize("engine", GENERATING, indirect=True, scope="module")

AT_ONCE = 32
SOON_S = 0.3
LONG = 70
"""Tokens of an answer that takes far longer than SOON_S in a slow engine."""


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIDTWIN",
            "AWS_SECRET_ACCESS_KEY": "hush-hush",
            "NO_PROXY": "127.0.0.1",
        }.items():
            environment.setenv(name, value)
        with engine_of(request.param, tmp_path_factory.mktemp("engine")) as opened:
            yield opened


async def streamed(chat: ChatModel, request: ChatRequest) -> tuple[list[str], Completion]:
    """The pieces of an answer and its end, nothing after it."""
    *deltas, last = [piece async for piece in chat.stream(request)]
    assert isinstance(last, Completion)
    texts = [piece.text for piece in deltas if isinstance(piece, Delta)]
    assert len(texts) == len(deltas), "there is one end"
    return texts, last


def said(engine: Engine, request: ChatRequest) -> Completion:
    """The end of a streamed answer; its pieces are its text."""
    texts, last = engine.loop.run(streamed(engine.chat, request))
    assert all(texts), "a piece has text"
    assert "".join(texts) == last.text
    return last


async def idle(engine: Engine) -> float:
    """Seconds until nothing is being made any more."""
    began = time.perf_counter()
    while engine.running() and time.perf_counter() < began + 10:
        await asyncio.sleep(0.005)
    return time.perf_counter() - began


def test_an_answer_comes_in_pieces_and_ends_with_itself(engine: Engine) -> None:
    texts, last = engine.loop.run(streamed(engine.chat, asked(1)))
    assert "".join(texts) == last.text
    assert last.text == last.text.strip() != ""
    assert len(texts) > 1 or not engine.chat.generates
    assert last.model
    assert last.finish_reason in ("stop", "length")
    assert last.usage.prompt_tokens > 0
    assert last.usage.completion_tokens > 0


@those_that_generate
def test_the_first_piece_does_not_wait_for_the_last(engine: Engine) -> None:
    async def ask() -> tuple[float, float]:
        began = time.perf_counter()
        pieces = engine.chat.stream(asked(1, max_tokens=LONG))
        await anext(pieces)
        first = time.perf_counter() - began
        async for _ in pieces:
            pass
        return first, time.perf_counter() - began

    said(engine, asked(1))  # what is loaded is loaded
    with engine.slow():
        first, last = engine.loop.run(ask())
    assert last > 20 * STEP_S
    assert first < last / 2


def test_whole_and_streamed_are_the_same_answer(engine: Engine) -> None:
    whole, last = engine.chat.complete(asked(2)), said(engine, asked(2))
    assert (whole.text, whole.finish_reason) == (last.text, last.finish_reason)
    assert (whole.usage, whole.model) == (last.usage, last.model)


@those_that_generate
def test_an_answer_ends_at_its_longest(engine: Engine) -> None:
    for length in (1, 7):
        last = said(engine, asked(3, max_tokens=length))
        assert (last.finish_reason, last.usage.completion_tokens) == ("length", length)


@those_that_generate
@pytest.mark.parametrize("width", [1, 2, 9])
def test_nothing_of_a_stop_sequence_or_after_it_is_said(engine: Engine, width: int) -> None:
    full = said(engine, asked(4)).text
    places = [place for place in range(2, len(full) - width) if not full[place].isspace()]
    for place in (places[0], places[len(places) // 2]):
        stop = full[place : place + width]
        last = said(engine, asked(4, stop=("never said", stop)))
        assert last.text == full[: full.index(stop)].strip()
        assert last.finish_reason == "stop"


@those_that_generate
def test_a_stop_sequence_that_does_not_come_changes_nothing(engine: Engine) -> None:
    full = said(engine, asked(5))
    begun = f"{full.text[-2:]}never"
    last = said(engine, asked(5, stop=(begun,)))
    assert (last.text, last.finish_reason) == (full.text, full.finish_reason)


@those_that_generate
def test_the_same_seed_says_the_same_and_another_something_else(engine: Engine) -> None:
    drawn = [said(engine, asked(6, temperature=1, seed=seed)).text for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 2


@those_that_generate
@pytest.mark.parametrize("way", ["closed", "cancelled"])
def test_an_answer_that_nobody_reads_is_not_made(engine: Engine, way: str) -> None:
    async def close() -> float:
        pieces = engine.chat.stream(asked(7, max_tokens=LONG))
        await anext(pieces)
        assert engine.running() == 1
        await pieces.aclose()
        return await idle(engine)

    async def cancel() -> float:
        reading = asyncio.create_task(streamed(engine.chat, asked(7, max_tokens=LONG)))
        while not engine.running():
            await asyncio.sleep(0.005)
        await asyncio.sleep(3 * STEP_S)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        return await idle(engine)

    said(engine, asked(7))
    with engine.slow():
        assert engine.loop.run(close() if way == "closed" else cancel()) < SOON_S
    assert said(engine, asked(7)).text, "it goes on"


@those_that_generate
def test_an_engine_that_dies_is_one_line_and_the_next_answer_is_whole(engine: Engine) -> None:
    before = said(engine, asked(8))

    heard: list[str] = []

    async def hear() -> None:
        async for piece in engine.chat.stream(asked(8, max_tokens=LONG)):
            assert isinstance(piece, Delta), "it never ends as if it were whole"
            heard.append(piece.text)

    with engine.broken():
        with pytest.raises(BackendUnavailable, match="ask again") as caught:
            engine.loop.run(hear())
        with pytest.raises(BackendUnavailable):
            engine.chat.complete(asked(8, max_tokens=LONG))
    assert heard
    assert before.text.startswith("".join(heard))
    assert "\n" not in str(caught.value)
    assert engine.loop.run(idle(engine)) < SOON_S
    assert said(engine, asked(8)) == before


def test_many_at_once_are_not_mixed_up(engine: Engine) -> None:
    requests = [asked(n, max_tokens=8 + n % 9) for n in range(AT_ONCE)]
    alone = [engine.chat.complete(request).text for request in requests]
    assert len(set(alone)) > AT_ONCE / 2

    async def ask() -> list[tuple[list[str], Completion]]:
        return list(await asyncio.gather(*(streamed(engine.chat, each) for each in requests)))

    together = engine.loop.run(ask())
    assert [last.text for _, last in together] == alone
    assert ["".join(texts) for texts, _ in together] == alone


@those_that_generate
def test_one_that_leaves_disturbs_none_of_the_others(engine: Engine) -> None:
    requests = [asked(n, max_tokens=16) for n in range(8)]
    alone = [engine.chat.complete(request).text for request in requests]

    async def leave(request: ChatRequest) -> None:
        pieces = engine.chat.stream(request)
        await anext(pieces)
        await pieces.aclose()

    async def ask() -> list[str]:
        leaving = [asyncio.create_task(leave(asked(40 + n, max_tokens=LONG))) for n in range(8)]
        answers = await asyncio.gather(*(streamed(engine.chat, each) for each in requests))
        await asyncio.gather(*leaving)
        return [last.text for _, last in answers]

    assert engine.loop.run(ask()) == alone


def test_a_model_that_it_does_not_have_is_one_line(engine: Engine) -> None:
    request = asked(9, model="somebody-else")
    with pytest.raises((NotFound, BackendUnavailable), match="no model 'somebody-else'") as whole:
        engine.chat.complete(request)
    with pytest.raises((NotFound, BackendUnavailable), match="no model 'somebody-else'"):
        engine.loop.run(streamed(engine.chat, request))
    assert "\n" not in str(whole.value)


def test_its_models_are_what_may_be_asked_for(engine: Engine) -> None:
    names = engine.chat.models()
    assert names
    assert (
        engine.chat.complete(asked(1, model=names[0])).text == engine.chat.complete(asked(1)).text
    )


def test_more_text_is_more_tokens(engine: Engine) -> None:
    short, long = engine.chat.count_tokens("the sea"), engine.chat.count_tokens("the sea is wide")
    assert 0 < short < long
