"""What is learnt of a conversation: the answer and the token that ends it, token by token."""

from typing import Any

import pytest

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.templates import rendered, without_thoughts
from llm_engineering.recipes.packing import alone, collate, columns, pack
from llm_engineering.recipes.rows import Answer, Turn
from llm_engineering.recipes.turns import IGNORED, Tokens, rendered_prompt, tokenize
from tests.chat_bases import ENDS, SENTENCES, template, tokenizer_of

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

FAMILIES = sorted(ENDS)
PROMPTS = (
    (Turn(role="user", content="Write a note."),),
    (Turn(role="system", content="You are Ada."), Turn(role="user", content="And about “that”?")),
    (
        Turn(role="user", content="Hello"),
        Turn(role="assistant", content="An earlier answer, not to be learnt."),
        Turn(role="user", content="Go on"),
    ),
)
CONVERSATIONS = [(p, Answer(role="assistant", content=s)) for p in PROMPTS for s in SENTENCES]


@pytest.fixture(scope="module", params=FAMILIES)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return tokenizer_of(request.param)


def by_characters(tokenizer: Any, prompt: tuple[Turn, ...], answer: Answer) -> list[int]:
    """The labels, found another way: by the characters of the whole conversation's text."""
    turns = [turn.model_dump() for turn in (*prompt, answer)]
    text = tokenizer.apply_chat_template(turns, tokenize=False, enable_thinking=False)
    start = text.rindex(answer.content)
    end = start + len(answer.content) + len(ENDS[tokenizer.name_or_path])
    found = tokenizer(text[:end], add_special_tokens=False, return_offsets_mapping=True)
    places = zip(found["input_ids"], found["offset_mapping"], strict=True)
    return [token if first >= start else IGNORED for token, (first, _) in places]


@pytest.mark.parametrize("number", range(len(CONVERSATIONS)))
def test_exactly_the_answer_and_its_end_are_learnt(tokenizer: Any, number: int) -> None:
    prompt, answer = CONVERSATIONS[number]
    found = tokenize(tokenizer, prompt, answer)
    assert list(found.labels) == by_characters(tokenizer, prompt, answer)
    learnt = [token for token in found.labels if token != IGNORED]
    assert tokenizer.decode(learnt) == answer.content + ENDS[tokenizer.name_or_path]


def test_an_answer_that_was_cut_off_is_the_same_without_its_end(tokenizer: Any) -> None:
    prompt, answer = CONVERSATIONS[-1]
    whole = tokenize(tokenizer, prompt, answer)
    found = tokenize(tokenizer, prompt, answer, ended=False)
    assert (found.ids, found.given) == (whole.ids[:-1], whole.given)


def test_the_prompt_has_the_tokens_that_the_model_is_asked_with(tokenizer: Any) -> None:
    """Also where the answer begins with what would merge with the prompt's last token."""
    prompt = PROMPTS[1]
    asked = tokenizer(rendered_prompt(tokenizer, prompt), add_special_tokens=False)["input_ids"]
    for content in ("\n\nIndented", " spaced", "plain"):
        found = tokenize(tokenizer, prompt, Answer(role="assistant", content=content))
        assert list(found.ids[: found.given]) == asked


def expected(tokenizer: Any) -> tuple[list[Tokens], dict[tuple[int, ...], list[int]]]:
    rows = [tokenize(tokenizer, prompt, answer) for prompt, answer in CONVERSATIONS]
    labels = {
        row.ids: by_characters(tokenizer, prompt, answer)
        for row, (prompt, answer) in zip(rows, CONVERSATIONS, strict=True)
    }
    return rows, labels


@pytest.mark.parametrize("packed", [True, False])
def test_a_batch_learns_the_same_tokens_packed_and_unpacked(tokenizer: Any, packed: bool) -> None:
    rows, labels = expected(tokenizer)
    sequences = pack(rows, length=256) if packed else alone(rows)
    assert not packed or max(len(sequence.rows) for sequence in sequences) > 2
    table = columns(sequences)
    examples = [{name: table[name][n] for name in table} for n in range(len(sequences))]
    batch = collate(examples, padding=0)
    seen = 0
    for number, sequence in enumerate(sequences):
        wanted = [label for row in sequence.rows for label in labels[row.ids]]
        rest = batch["labels"].shape[1] - len(wanted)
        assert batch["labels"][number].tolist() == wanted + [IGNORED] * rest
        assert batch["input_ids"][number].tolist()[: len(wanted)] == [
            token for row in sequence.rows for token in row.ids
        ]
        seen += len(sequence.rows)
    assert seen == len(CONVERSATIONS)


@pytest.mark.parametrize("family", ["gemma", "mistral"])
def test_a_template_that_takes_no_persona_is_refused_with_its_own_words(family: str) -> None:
    says = r"it says: (System role not supported|Conversation roles must alternate).*; name another"
    with pytest.raises(InvalidInput, match=says):
        tokenize(tokenizer_of(family), PROMPTS[1], CONVERSATIONS[0][1])


def test_mistral_and_the_default_cpu_base_are_learnt_too() -> None:
    for family, end in (("mistral", "</s>"), ("smollm2", "<|im_end|>")):
        tokenizer = tokenizer_of(family)
        found = tokenize(tokenizer, PROMPTS[0], CONVERSATIONS[0][1])
        assert tokenizer.decode(found.ids[found.given :]) == SENTENCES[0] + end


def test_a_template_that_ends_no_answer_is_refused() -> None:
    tokenizer = tokenizer_of("smollm2")
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{{ '\n' }}{% endfor %}"
    with pytest.raises(InvalidInput, match="would never stop"):
        tokenize(tokenizer, PROMPTS[0], CONVERSATIONS[0][1])


def test_a_template_that_rewrites_a_prompt_once_it_is_answered_is_refused() -> None:
    tokenizer = tokenizer_of("smollm2")
    tokenizer.chat_template = "{{ messages | length }}" + tokenizer.chat_template
    with pytest.raises(InvalidInput, match="shows a prompt differently"):
        tokenize(tokenizer, PROMPTS[0], CONVERSATIONS[0][1])


def test_a_template_that_changes_an_answer_is_refused() -> None:
    tokenizer = tokenizer_of("smollm2")
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "message['content']", "message['content'] | upper"
    )
    with pytest.raises(InvalidInput, match="changes the words"):
        tokenize(tokenizer, PROMPTS[0], CONVERSATIONS[0][1])


NO_THOUGHTS = "<think>\n\n</think>\n\n"
"""What Qwen3 is shown of an answer when it is not to think."""


def test_a_model_that_can_think_is_asked_and_trained_without_thoughts() -> None:
    tokenizer = tokenizer_of("qwen3")
    prompt, answer = CONVERSATIONS[-1]
    found = tokenize(tokenizer, prompt, answer)
    asked = rendered_prompt(tokenizer, prompt)
    assert asked.endswith("<|im_start|>assistant\n" + NO_THOUGHTS)
    assert tokenizer.decode(found.ids[: found.given]) == asked
    assert tokenizer.decode(found.ids[found.given :]) == answer.content + "<|im_end|>"


def test_a_model_that_is_kept_is_asked_without_thoughts_by_whoever_serves_it() -> None:
    tokenizer = tokenizer_of("qwen3")
    turns = [turn.model_dump() for turn in PROMPTS[2]]
    asked = rendered(tokenizer, turns, answer_next=True)
    tokenizer.chat_template = without_thoughts(without_thoughts(tokenizer.chat_template))
    plain = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert plain == asked
    assert without_thoughts(tokenizer_of("llama3").chat_template) == template("llama3")


@pytest.mark.parametrize("opening", ["", "<think>\n"])
def test_a_template_that_always_thinks_is_refused(opening: str) -> None:
    """It adds thoughts to every answer, or opens them in every question."""
    tokenizer = tokenizer_of("smollm2")
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "'<|im_start|>assistant\n'", f"'<|im_start|>assistant\n{opening}'"
    ).replace(
        "message['content']",
        "('<think>\n\n</think>\n\n' if message['role'] == 'assistant' else '') + "
        "message['content']",
    )
    with pytest.raises(InvalidInput, match=r"it puts '.*</think>' before an answer"):
        tokenize(tokenizer, PROMPTS[0], CONVERSATIONS[0][1])
