"""Serving reads the tokens that training learnt from, for every template."""

from pathlib import Path
from typing import Any

import pytest

from llm_engineering.application.rag.prompts import direct, instructed
from llm_engineering.domain.chat import Message, Role
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.training import DeviceUse, PretrainNanoJob
from llm_engineering.infrastructure.decoding.local_base import LocalBase, load_base
from llm_engineering.recipes.bases import load_tokenizer
from llm_engineering.recipes.pretrain_nano import new_model
from llm_engineering.recipes.rows import Answer, Turn
from llm_engineering.recipes.turns import tokenize
from tests.chat_bases import SPECIAL, tiny_base, tokenizer_of

CPU = DeviceUse(name="cpu", precision="float32", reason="for tests")
FAMILIES = ("nano", *sorted(SPECIAL))
PERSONA, INSTRUCTION = instructed("Write about SQLite’s triggers — in full:", author="Ada")
CONVERSATIONS = {
    "an instruction, as it is trained": (PERSONA, INSTRUCTION),
    "without a persona": (INSTRUCTION,),
    "several turns": (
        PERSONA,
        INSTRUCTION,
        Message(role=Role.ASSISTANT, content="The trick is to use a trigger!"),
        Message(role=Role.USER, content="And then?\n"),
    ),
}


def base_of(family: str, folder: Path) -> str:
    if family == "nano":
        return str(tiny_base(folder))
    tokenizer = tokenizer_of(family)
    shape = PretrainNanoJob(vocabulary=512, width=32, layers=1, heads=2, context=256)
    new_model(shape, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module", params=FAMILIES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LocalBase:
    return load_base(base_of(request.param, tmp_path_factory.mktemp("base")), CPU)


def trained(base: LocalBase, messages: tuple[Message, ...]) -> Any:
    """The row that training makes of the conversation and an answer to it."""
    turns = [Turn.model_validate({"role": m.role.value, "content": m.content}) for m in messages]
    answer = Answer(role="assistant", content="I wrote a plugin for this today.")
    return tokenize(load_tokenizer(base.name), turns, answer)


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_the_prompt_that_is_served_is_the_one_that_was_trained(
    base: LocalBase, conversation: str
) -> None:
    messages = CONVERSATIONS[conversation]
    try:
        row = trained(base, messages)
    except InvalidInput:
        with pytest.raises(InvalidInput, match="refuses the conversation"):
            base.prompt(messages)
        return
    assert base.prompt(messages) == list(row.ids[: row.given])
    assert row.ids[-1] in base.ends, "what ends an answer in training ends it here"
    assert not base.ends.intersection(row.ids[row.given : -1])


def test_most_templates_take_most_conversations(base: LocalBase) -> None:
    """So that the test above compares something."""
    assert base.prompt(CONVERSATIONS["without a persona"])


def test_a_conversation_without_retrieval_is_the_trained_instruction() -> None:
    assert direct((INSTRUCTION,), author="Ada") == CONVERSATIONS["an instruction, as it is trained"]
