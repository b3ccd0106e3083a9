"""A prompt and its answer as tokens, exactly as serving sees them, and which of them are learnt.

The prompt is tokenised by itself, as it is when the model is asked, and the answer by itself, as
the model says it: no token straddles the border. What is learnt is the answer and the token that
ends it; nothing that a template writes after that. So no template needs `{% generation %}` marks,
and a template for which this cannot be done is refused.

Does not know: packing, batches, models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.templates import rendered
from llm_engineering.recipes.rows import Turn, messages

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""Label of a token that is not learnt; what torch's cross entropy leaves out."""


@dataclass(frozen=True)
class Tokens:
    """One row: what the model reads, and how much of its front is not learnt."""

    ids: tuple[int, ...]
    given: int
    """Tokens of the prompt."""

    @property
    def labels(self) -> tuple[int, ...]:
        return (IGNORED,) * self.given + self.ids[self.given :]

    @property
    def learnt(self) -> int:
        return len(self.ids) - self.given


def rendered_prompt(tokenizer: "PreTrainedTokenizerBase", prompt: Sequence[Turn]) -> str:
    """What the model is shown before it answers. Raises InvalidInput where the template refuses."""
    return _render(tokenizer, messages(prompt), answer_next=True)


def tokenize(
    tokenizer: "PreTrainedTokenizerBase",
    prompt: Sequence[Turn],
    answer: Turn,
    *,
    ended: bool = True,
) -> Tokens:
    """`ended`: with the token that ends an answer; without, for one that was cut off.

    Raises InvalidInput for a template under which an answer is not what follows its prompt.
    """
    asked = rendered_prompt(tokenizer, prompt)
    whole = _render(tokenizer, messages([*prompt, answer]), answer_next=False)
    if not whole.startswith(asked):
        raise _unfit(tokenizer, "it shows a prompt differently once the prompt is answered")
    said = whole[len(asked) :]
    content = answer.content if answer.content in said else answer.content.strip()
    if not content or content not in said:
        raise _unfit(tokenizer, "it changes the words of an answer")
    if before := said[: said.index(content)].strip():
        raise _unfit(tokenizer, f"it puts {before[:40]!r} before an answer, which would be learnt")
    prompt_ids = _ids(tokenizer, asked)
    spoken = _ids(tokenizer, said[: said.index(content) + len(content)])
    ending = _ids(tokenizer, said[said.index(content) + len(content) :])
    stops = stop_ids(tokenizer)
    last = next((place for place, token in enumerate(ending) if token in stops), None)
    if last is None:
        raise _unfit(tokenizer, "nothing in it ends an answer, so the model would never stop")
    end = ending[: last + 1] if ended else ()
    return Tokens((*prompt_ids, *spoken, *end), given=len(prompt_ids))


def stop_ids(tokenizer: "PreTrainedTokenizerBase") -> frozenset[int]:
    """Tokens that no text contains: any of them can end an answer."""
    added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    known: Any = tokenizer.all_special_ids
    return frozenset(added | set(known))


def _render(
    tokenizer: "PreTrainedTokenizerBase", turns: list[dict[str, str]], *, answer_next: bool
) -> str:
    from jinja2.exceptions import TemplateError

    try:
        return rendered(tokenizer, turns, answer_next=answer_next)
    except TemplateError as error:
        raise _unfit(tokenizer, f"it says: {error}") from None


def _ids(tokenizer: "PreTrainedTokenizerBase", text: str) -> tuple[int, ...]:
    ids: Any = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tuple(ids)


def _unfit(tokenizer: "PreTrainedTokenizerBase", why: str) -> InvalidInput:
    return InvalidInput(
        f"the chat template of {tokenizer.name_or_path!r} cannot be trained with: {why}; "
        "name another base"
    )
