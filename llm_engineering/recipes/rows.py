"""The rows of a job's data, read and checked before anything is loaded.

Does not know: tokens, trainers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm_engineering.domain.errors import InvalidInput, TooFewSamples


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Turn(Frozen):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Answer(Turn):
    """The assistant's message that is learnt, or learnt to avoid."""

    role: Literal["assistant"]
    content: str = Field(min_length=1)


Prompt = tuple[Turn, ...]


class SftRow(Frozen):
    """A prompt and the answer to learn."""

    id: str
    prompt: Prompt = Field(min_length=1)
    completion: tuple[Answer] = Field(min_length=1, max_length=1)


class DpoRow(Frozen):
    """A prompt and two answers, of which the first is preferred."""

    id: str
    prompt: Prompt = Field(min_length=1)
    chosen: tuple[Answer]
    rejected: tuple[Answer]
    rejected_ended: bool = True
    """False: it was cut off, and does not end where its words do."""


class KtoRow(Frozen):
    """A prompt, an answer, and whether it was liked."""

    id: str
    prompt: Prompt = Field(min_length=1)
    completion: tuple[Answer]
    label: bool


class PromptRow(Frozen):
    """A prompt to answer."""

    id: str
    prompt: Prompt = Field(min_length=1)


class TextRow(Frozen):
    """Plain text."""

    id: str
    text: str = Field(min_length=1)


RowT = TypeVar("RowT", bound=Frozen)

TRAIN, VALIDATION, TEST = "train", "validation", "test"


def read_rows(data: Path, split: str, kind: type[RowT], *, least: int = 0) -> tuple[RowT, ...]:
    """The rows of one split; a file that is not there holds none.

    Raises InvalidInput with file and line for a row that is none, TooFewSamples below `least`.
    """
    path = data / f"{split}.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    rows = tuple(
        _row(line, kind, place=f"{path}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    )
    if len(rows) < least:
        raise TooFewSamples(
            f"{path} holds {len(rows)} rows and {least} are needed; make a larger sample set"
        )
    return rows


def _row(line: str, kind: type[RowT], *, place: str) -> RowT:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise InvalidInput(f"{place}: {where}: {problem['msg']}; export the data anew") from None


def without_id(row: RowT) -> dict[str, object]:
    """As trainers take it."""
    return row.model_dump(exclude={"id"})


def messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """As chat templates take them."""
    return [{"role": turn.role, "content": turn.content} for turn in turns]
