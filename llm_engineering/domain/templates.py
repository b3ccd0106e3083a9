"""A conversation as the text that a model reads: one rendering for training, measuring, serving.

Does not know: tokens, models, whose template it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

TEMPLATE_OPTIONS: Mapping[str, Any] = {"enable_thinking": False}
"""What every template is given. Some models think aloud before they answer unless told not to; the
author's words are learnt without thoughts before them, so they are asked for without. A server that
renders by itself takes the same (vLLM: `chat_template_kwargs`)."""
_NO_THOUGHTS = "{%- set enable_thinking = false -%}"


class Template(Protocol):
    """A tokenizer of transformers, as far as it is used here."""

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any: ...


def rendered(template: Template, turns: Sequence[Mapping[str, str]], *, answer_next: bool) -> str:
    """The text of `turns` (role, content); `answer_next`: up to where the model begins to answer.

    Raises what the template raises for turns that it refuses.
    """
    text = template.apply_chat_template(
        [dict(turn) for turn in turns],
        tokenize=False,
        add_generation_prompt=answer_next,
        **TEMPLATE_OPTIONS,
    )
    return str(text)


def without_thoughts(chat_template: str) -> str:
    """The same template, for those who ask the model without these options."""
    if "enable_thinking" not in chat_template or chat_template.startswith(_NO_THOUGHTS):
        return chat_template
    return _NO_THOUGHTS + chat_template
