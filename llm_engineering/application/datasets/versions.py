"""The version of a sample set: what it holds decides it, not when it was made."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from llm_engineering.domain.sample_rows import Sample, row_of
from llm_engineering.domain.samples import (
    InstructSample,
    SampleSet,
    SampleSetManifest,
    Split,
    SplitCounts,
)

T = TypeVar("T", bound=Sample)


def stamped(samples: SampleSet, *, shown: Iterable[str], now: datetime) -> SampleSet:
    """The same samples by split, with counts, document ids, version and time of their own.

    `shown` are ids of documents whose words are in samples that do not name them.
    """
    samples = samples.model_copy(
        update={
            "instruct": _by_split(samples.instruct),
            "preference": _by_split(samples.preference),
            "rated": _by_split(samples.rated),
        }
    )
    counted = samples.manifest.model_copy(
        update={
            "splits": {split: _counts(samples, split) for split in Split},
            "document_ids": tuple(sorted(named_documents(samples).union(shown))),
            "dropped": dict(sorted(samples.manifest.dropped.items())),
        }
    )
    version = _version(counted, (*samples.instruct, *samples.preference, *samples.rated))
    manifest = counted.model_copy(update={"version": version, "created_at": now})
    return samples.model_copy(update={"manifest": manifest})


def _by_split(samples: Sequence[T]) -> tuple[T, ...]:
    return tuple(each for split in Split for each in samples if each.split is split)


def _version(manifest: SampleSetManifest, samples: Iterable[Sample]) -> str:
    digest = hashlib.sha256()
    head = manifest.model_dump(mode="json", exclude={"version", "created_at", "dropped"})
    digest.update(json.dumps(head, sort_keys=True).encode())
    for sample in samples:
        digest.update(json.dumps(row_of(sample), sort_keys=True).encode())
    return digest.hexdigest()[:12]


def named_documents(samples: SampleSet) -> set[str]:
    """Ids of the documents that samples name, rejected ones included."""
    targets = {sample.target.document.id for sample in samples.instruct}
    rejected = {
        sample.rejected_from
        for sample in samples.preference
        if sample.rejected_by.value == "other_author"
    }
    return targets | rejected


def _counts(samples: SampleSet, split: Split) -> SplitCounts:
    mine: list[InstructSample] = [each for each in samples.instruct if each.split is split]
    documents = {sample.target.document.id: sample.target.document for sample in mine}
    dates = [each.published_at for each in documents.values() if each.published_at is not None]
    return SplitCounts(
        documents=len(documents),
        instruct=len(mine),
        preference=sum(each.split is split for each in samples.preference),
        rated=sum(each.split is split for each in samples.rated),
        first=min(dates, default=None),
        last=max(dates, default=None),
    )
