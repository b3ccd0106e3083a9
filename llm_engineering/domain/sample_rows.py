"""Samples as rows of TRL's conversational format, and back: what files, exports and hubs hold.

A row says where its words come from, in flat columns that people filter by: url, date, offsets.
Nothing is lost: a row read back is the sample that it was made of.

Does not know: files, formats of files, trainers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_engineering.domain.chat import Message, Role
from llm_engineering.domain.documents import DocumentRef
from llm_engineering.domain.samples import (
    InstructSample,
    PreferenceSample,
    RatedSample,
    TargetSpan,
)

Row = dict[str, Any]
"""JSON values only."""

Sample = InstructSample | PreferenceSample | RatedSample

_REF = tuple(name for name in DocumentRef.model_fields if name != "id")
_SPAN = ("content_hash", "start", "end", "heading_path")


def turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Messages as every trainer takes them."""
    return [{"role": message.role.value, "content": message.content} for message in messages]


def answered(text: str) -> list[dict[str, str]]:
    """One answer as every trainer takes it."""
    return turns([Message(role=Role.ASSISTANT, content=text)])


def instruct_row(sample: InstructSample) -> Row:
    return {
        "id": sample.id,
        "prompt": turns(sample.prompt),
        "completion": answered(sample.completion),
        "form": sample.form.value,
        "split": sample.split.value,
        **_provenance(sample.target),
    }


def preference_row(sample: PreferenceSample) -> Row:
    return {
        "id": sample.id,
        "prompt": turns(sample.prompt),
        "chosen": answered(sample.chosen),
        "rejected": answered(sample.rejected),
        "rejected_by": sample.rejected_by.value,
        "rejected_from": sample.rejected_from,
        "rejected_ended": sample.rejected_ended,
        "split": sample.split.value,
        **_provenance(sample.target),
    }


def rated_row(sample: RatedSample) -> Row:
    return {
        "id": sample.id,
        "prompt": turns(sample.prompt),
        "completion": answered(sample.completion),
        "label": sample.liked,
        "feedback_id": sample.feedback_id,
        "split": sample.split.value,
    }


def row_of(sample: Sample) -> Row:
    match sample:
        case InstructSample():
            return instruct_row(sample)
        case PreferenceSample():
            return preference_row(sample)
        case RatedSample():
            return rated_row(sample)


def instruct_sample(row: Mapping[str, Any]) -> InstructSample:
    """Raises KeyError or pydantic's ValidationError for what `instruct_row` never wrote."""
    return InstructSample.model_validate(
        {
            **{name: row[name] for name in ("id", "split", "form", "prompt")},
            "completion": _said(row["completion"]),
            "target": _target(row),
        }
    )


def preference_sample(row: Mapping[str, Any]) -> PreferenceSample:
    """Raises KeyError or pydantic's ValidationError for what `preference_row` never wrote."""
    kept = ("id", "split", "prompt", "rejected_by", "rejected_from")
    return PreferenceSample.model_validate(
        {
            **{name: row[name] for name in kept},
            "chosen": _said(row["chosen"]),
            "rejected": _said(row["rejected"]),
            "rejected_ended": row.get("rejected_ended", True),  # sets of before have no such column
            "target": _target(row),
        }
    )


def rated_sample(row: Mapping[str, Any]) -> RatedSample:
    """Raises KeyError or pydantic's ValidationError for what `rated_row` never wrote."""
    return RatedSample.model_validate(
        {
            **{name: row[name] for name in ("id", "split", "prompt", "feedback_id")},
            "completion": _said(row["completion"]),
            "liked": row["label"],
        }
    )


def _provenance(target: TargetSpan | None) -> Row:
    """The columns of every row, None in those of a target that is no span."""
    if target is None:
        return dict.fromkeys(("document_id", *_REF, *_SPAN))
    document = target.document.model_dump(mode="json")
    span = target.model_dump(mode="json", exclude={"document"})
    return {
        "document_id": document["id"],
        **{name: document[name] for name in _REF},
        **{name: span[name] for name in _SPAN},
    }


def _target(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if row["document_id"] is None:
        return None
    document = {"id": row["document_id"], **{name: row[name] for name in _REF}}
    return {"document": document, **{name: row[name] for name in _SPAN}}


def _said(messages: Sequence[Mapping[str, Any]]) -> str:
    (message,) = messages
    return str(message["content"])
