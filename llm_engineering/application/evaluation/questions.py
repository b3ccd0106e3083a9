"""Question files: questions about a corpus, each with the spans that answer it.

CSV with a header, a JSON list, or JSON lines; the keys are the fields of `Question`. Every mistake
is one line with file, row, what is wrong and the fix.

Does not know: which documents there are, where in an index a span is.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from llm_engineering.domain.errors import InvalidInput

SHAPE = '[{"start_index": 0, "end_index": 80}]'
"""What the cell `references` looks like."""

_MAX_CELL = 10_000_000


class Reference(BaseModel):
    """Text that answers a question, by its place, its words, or both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start_index: int | None = Field(default=None, ge=0)
    """Characters of the file as it is on disk, in code points."""
    end_index: int | None = Field(default=None, ge=1)
    content: str | None = None
    """The text itself; where it is found more than once, the offsets tell which one is meant."""
    path: str | None = None
    """Document that it is in, when that is another than the question's."""

    @model_validator(mode="after")
    def _placed(self) -> Self:
        if (self.start_index is None) != (self.end_index is None):
            raise ValueError("has one of start_index and end_index; give both")
        if self.start_index is not None and self.end_index is not None:
            if self.end_index <= self.start_index:
                raise ValueError(
                    f"ends at {self.end_index}, not after its start {self.start_index}; "
                    "end_index is the character after the last"
                )
        elif not (self.content or "").strip():
            raise ValueError("has no place; give start_index and end_index, or content")
        return self


class Question(BaseModel):
    """One question; without references it is one that the corpus cannot answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    references: tuple[Reference, ...] = ()
    corpus_id: str = ""
    """The document that answers it: its path in the corpus with or without extension, its URL, or
    the end of either."""
    kind: str = ""
    """Free text; results are also told per kind."""

    @field_validator("question")
    @classmethod
    def _asks(cls, question: str) -> str:
        if not question.strip():
            raise ValueError("is empty; write one or remove the row")
        return question

    @model_validator(mode="after")
    def _names_documents(self) -> Self:
        if not self.corpus_id and not all(reference.path for reference in self.references):
            raise ValueError("names no document; fill corpus_id with a path or a URL")
        return self


class QuestionFile(BaseModel):
    """The questions of one file, with where each of them stands in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    questions: tuple[Question, ...]
    rows: tuple[int, ...]
    """Per question its row: in CSV the header is row 1, elsewhere the first question is."""

    def mistake(self, number: int, what: str) -> InvalidInput:
        """The error to raise for question `number`, counted from 0."""
        return _mistake(self.name, self.rows[number], what)


def read_questions(text: str, *, name: str) -> QuestionFile:
    """The questions in `text`, the content of the file `name`, whose ending tells its format.

    Raises InvalidInput.
    """
    if name.endswith((".jsonl", ".ndjson")):
        rows = _json_lines(text, name)
    elif name.endswith(".json"):
        rows = _json_list(text, name)
    elif name.endswith(".csv"):
        rows = _csv_rows(text, name)
    else:
        raise InvalidInput(f"{name}: is no question file; name it .csv, .json or .jsonl")
    found = [(number, _question(fields, name, number)) for number, fields in rows]
    if not found:
        raise InvalidInput(f"{name}: holds no question; add rows below the header")
    return QuestionFile(
        name=name,
        questions=tuple(question for _, question in found),
        rows=tuple(number for number, _ in found),
    )


def _csv_rows(text: str, name: str) -> Iterator[tuple[int, Any]]:
    known = tuple(Question.model_fields)
    limit = csv.field_size_limit(_MAX_CELL)
    number = 1
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(reader, [])
        _check_header(header, known, name)
        for cells in reader:
            number += 1
            if not cells:
                continue
            if len(cells) != len(header):
                raise _mistake(
                    name,
                    number,
                    f"has {len(cells)} cells where the header has {len(header)}; "
                    'put cells with commas between "',
                )
            yield number, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise _mistake(name, number + 1, f"is no CSV ({error}); write it anew as CSV") from None
    finally:
        csv.field_size_limit(limit)


def _check_header(header: Sequence[str], known: Sequence[str], name: str) -> None:
    columns = ", ".join(known)
    unknown = [column for column in header if column not in known]
    if unknown:
        raise _mistake(name, 1, f"has the unknown column {unknown[0]!r}; the columns are {columns}")
    if "question" not in header or "references" not in header:
        raise _mistake(name, 1, f"is no header with question and references; write {columns}")


def _json_lines(text: str, name: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _json(line, name, number)


def _json_list(text: str, name: str) -> Iterator[tuple[int, Any]]:
    listed = _json(text, name, 1)
    if not isinstance(listed, list):
        raise InvalidInput(f"{name}: is no JSON list; write the questions between [ and ]")
    yield from enumerate(listed, start=1)


def _question(fields: Any, name: str, number: int) -> Question:
    if not isinstance(fields, dict):
        raise _mistake(name, number, 'is no JSON object; write {"question": ...}')
    written = fields.get("references")
    if isinstance(written, str):
        try:
            fields = fields | {"references": json.loads(written) if written.strip() else []}
        except ValueError:
            raise _mistake(name, number, f"references is no JSON; write {SHAPE}") from None
    try:
        return Question.model_validate(fields)
    except ValidationError as error:
        raise _mistake(name, number, _told(error)) from None


def _told(error: ValidationError) -> str:
    """Where and what of the first problem, with the fix."""
    problem = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, problem["loc"])) or "the question"
    if problem["type"] == "value_error":
        return f"{where} {problem['ctx']['error']}"
    keys = Reference if where.startswith("references") else Question
    return f"{where}: {problem['msg']}; the keys are {', '.join(keys.model_fields)}"


def _json(text: str, name: str, number: int) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise _mistake(name, number, f"is no JSON ({error}); correct it") from None


def _mistake(name: str, row: int, what: str) -> InvalidInput:
    return InvalidInput(f"{name}, row {row}: {what}")
