"""Questions to a twin in this process, and what PEFT and generate say to them."""

import asyncio
from typing import Any

from llm_engineering.domain.chat import ChatRequest, Completion, Message, Role, Sampling
from llm_engineering.infrastructure.transformers_chat import TransformersChat
from tests.twin_homes import TwinHome

TOKENS = 24


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
