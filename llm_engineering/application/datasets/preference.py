"""Preference pairs: the author's words, and what a model or somebody else says to the same prompt.

Does not know: how a model is made to answer (recipes/generate.py), how feedback is gathered.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from llm_engineering.application.datasets.config import DatasetsConfig
from llm_engineering.application.datasets.outline import boilerplate_of
from llm_engineering.application.datasets.spans import candidates
from llm_engineering.application.datasets.splits import Cuts, hashed_split
from llm_engineering.application.datasets.versions import named_documents, stamped
from llm_engineering.application.datasets.writing import distinct
from llm_engineering.application.near_duplicates import THRESHOLD, jaccard, shingles
from llm_engineering.domain.documents import Document
from llm_engineering.domain.samples import (
    InstructSample,
    PreferenceSample,
    RejectedBy,
    SampleSet,
    Split,
    sample_id,
)

_NEAREST = 8
"""Spans of about the right length among which a hash chooses."""


@dataclass(frozen=True, slots=True)
class OtherSpan:
    """What somebody else wrote."""

    document_id: str
    text: str


class Said(NamedTuple):
    """What a model answered."""

    text: str
    ended: bool = True
    """False where it was cut off."""


def with_answers(
    samples: SampleSet,
    answers: Mapping[str, Said],
    *,
    rejected_by: RejectedBy,
    rejected_from: str,
    now: datetime,
) -> SampleSet:
    """The set with a pair for each instruct sample that was answered (id -> answer).

    `rejected_from` names the model version. Other pairs for the same prompt (another author's, an
    earlier model's) give way; corrections by hand stay. What a pair was not made of is counted in
    the manifest of the new set, whose version is another one.
    """
    dropped = Counter(samples.manifest.dropped)
    made = answer_pairs(
        [sample for sample in samples.instruct if sample.id in answers],
        answers,
        rejected_by=rejected_by,
        rejected_from=rejected_from,
        dropped=dropped,
    )
    answered = {pair.prompt for pair in made}
    shown = frozenset(samples.manifest.document_ids) - named_documents(samples)
    kept = [
        pair for pair in samples.preference if pair.target is None or pair.prompt not in answered
    ]
    return stamped(
        samples.model_copy(
            update={
                "preference": (*made, *kept),
                "manifest": samples.manifest.model_copy(update={"dropped": dict(dropped)}),
            }
        ),
        shown=shown,
        now=now,
    )


def answer_pairs(
    samples: Iterable[InstructSample],
    answers: Mapping[str, Said],
    *,
    rejected_by: RejectedBy,
    rejected_from: str,
    dropped: Counter[str],
) -> tuple[PreferenceSample, ...]:
    """A pair per sample; an empty answer, or one that says the same, makes none."""
    found = []
    for sample in samples:
        said = answers[sample.id]
        rejected = said.text.strip()
        begun = not said.ended and sample.completion.startswith(rejected)
        reason = no_contrast(sample.completion, sample.completion if begun else rejected)
        if reason:
            dropped[f"pair: {reason}"] += 1
            continue
        pair = _pair(sample, rejected, rejected_by, rejected_from)
        found.append(pair.model_copy(update={"rejected_ended": said.ended}))
    return tuple(found)


def no_contrast(chosen: str, rejected: str) -> str:
    """Why two answers make no pair; '' when they do."""
    if not any(map(str.isalnum, rejected)):
        return "the rejected side is empty"
    one, other = (" ".join(text.casefold().split()) for text in (chosen, rejected))
    if one == other or jaccard(shingles(one), shingles(other)) >= THRESHOLD:
        return "both sides say the same"
    return ""


def other_spans(
    documents: Sequence[Document], *, where: Cuts, config: DatasetsConfig
) -> dict[Split, list[OtherSpan]]:
    """What other authors wrote, by length, each document in the split that its date or id gives."""
    ignored: Counter[str] = Counter()
    kept = list(distinct(documents, ignored))
    boilerplate = boilerplate_of(
        (document.text for document in kept), documents=config.spans.boilerplate_documents
    )
    found: dict[Split, list[OtherSpan]] = {split: [] for split in Split}
    for document in kept:
        split = (
            where.split(document)
            if document.published_at is not None
            else hashed_split(document.id, config.split)
        )
        found[split] += [
            OtherSpan(document.id, document.text[each.start : each.end])
            for each in candidates(
                document, rule=config.spans, boilerplate=boilerplate, dropped=ignored
            )
            if each.stands
        ]
    for spans in found.values():
        spans.sort(key=lambda span: (len(span.text), span.document_id, span.text))
    return found


def other_author_pairs(
    samples: Iterable[InstructSample],
    spans: Mapping[Split, Sequence[OtherSpan]],
    *,
    dropped: Counter[str],
) -> tuple[PreferenceSample, ...]:
    """Each sample against a span of about its length by somebody else, of the same split."""
    lengths = {split: [len(span.text) for span in held] for split, held in spans.items()}
    found = []
    for sample in samples:
        held = spans[sample.split]
        if not held:
            dropped["pair: no other author in this split"] += 1
            continue
        near = bisect_left(lengths[sample.split], len(sample.completion))
        first = max(0, min(near - _NEAREST // 2, len(held) - _NEAREST))
        among = held[first : first + _NEAREST]
        chosen = among[int(sample.id[:8], 16) % len(among)]
        if reason := no_contrast(sample.completion, chosen.text):
            dropped[f"pair: {reason}"] += 1
            continue
        found.append(_pair(sample, chosen.text, RejectedBy.OTHER_AUTHOR, chosen.document_id))
    return tuple(found)


def _pair(
    sample: InstructSample, rejected: str, rejected_by: RejectedBy, rejected_from: str
) -> PreferenceSample:
    return PreferenceSample(
        id=sample_id("preference", sample.id, rejected_by, rejected_from, rejected),
        split=sample.split,
        prompt=sample.prompt,
        chosen=sample.completion,
        rejected=rejected,
        rejected_by=rejected_by,
        rejected_from=rejected_from,
        target=sample.target,
    )
