"""The rows of a training job, exactly as its recipe reads them.

Does not know: how a set was made, where the rows are written.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, assert_never

from llm_engineering.application.clean import clean
from llm_engineering.domain.errors import NotFound, TooFewSamples
from llm_engineering.domain.sample_rows import (
    Row,
    instruct_row,
    preference_row,
    rated_row,
)
from llm_engineering.domain.samples import SampleSet, Split
from llm_engineering.ports.stores import DocumentStore

JobRows = Mapping[Split, Sequence[Row]]
"""All three splits; one without rows is empty."""

RowKind = Literal["sft", "dpo", "kto", "generate", "pretrain_nano"]
"""Recipes that read rows."""

_PAIR = ("prompt", "chosen", "rejected", "rejected_ended")
_FIX = "collect more writing with 'twin run etl', then 'twin run datasets'"


def job_rows(recipe: RowKind, samples: SampleSet, *, store: DocumentStore) -> JobRows:
    """What goes into the `data/` folder of a job for `recipe` (domain/training.py).

    `store` is only read for `pretrain_nano`, whose texts are whole documents.
    Raises TooFewSamples when there is nothing to train on, NotFound when a document of the set
    is gone or has changed.
    """
    rows = _rows(recipe, samples, store)
    if not rows[Split.TRAIN]:
        raise TooFewSamples(
            f"sample set {samples.manifest.version} has no rows for {recipe}; {_missing(recipe)}"
        )
    return rows


def _missing(recipe: RowKind) -> str:
    match recipe:
        case "dpo":
            return "answer its prompts with a model first, or give it another author's writing"
        case "kto":
            return "readers have to rate answers first"
        case "sft" | "generate" | "pretrain_nano":
            return _FIX
        case unreachable:
            assert_never(unreachable)


def _rows(recipe: RowKind, samples: SampleSet, store: DocumentStore) -> JobRows:
    match recipe:
        case "sft":
            return _by_split(
                (sample.split, _only(instruct_row(sample), "prompt", "completion"))
                for sample in samples.instruct
            )
        case "generate":
            return _by_split(
                (sample.split, _only(instruct_row(sample), "prompt")) for sample in samples.instruct
            )
        case "dpo":
            return _by_split(
                (sample.split, _only(preference_row(sample), *_PAIR))
                for sample in samples.preference
            )
        case "kto":
            return _by_split(
                (sample.split, _only(rated_row(sample), "prompt", "completion", "label"))
                for sample in samples.rated
            )
        case "pretrain_nano":
            return _texts(samples, store)
        case unreachable:
            assert_never(unreachable)


def _texts(samples: SampleSet, store: DocumentStore) -> JobRows:
    """The cleaned documents that gave samples, each in its own split."""
    of = {sample.target.document.id: sample for sample in samples.instruct}
    found = store.get_many(tuple(of))
    for key, sample in of.items():
        if key not in found or found[key].content_hash != sample.target.content_hash:
            raise NotFound(
                f"{sample.target.document.url} has changed or gone since sample set "
                f"{samples.manifest.version} was made; make another with 'twin run datasets'"
            )
    return _by_split(
        (of[key].split, {"id": key, "text": clean(found[key]).text}) for key in sorted(of)
    )


def _by_split(rows: Iterable[tuple[Split, Row]]) -> JobRows:
    found: dict[Split, list[Row]] = {split: [] for split in Split}
    for split, row in rows:
        found[split].append(row)
    return found


def _only(row: Row, *columns: str) -> Row:
    return {name: row[name] for name in ("id", *columns)}
