"""Feedback as samples: a correction by the author becomes a pair, a thumb becomes a rating.

Only the author's words are targets, so that an edit by anybody else is counted and left out.

Does not know: how feedback is gathered.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from llm_engineering.application.datasets.config import SplitRule
from llm_engineering.application.datasets.leaks import folded_prompt
from llm_engineering.application.datasets.preference import no_contrast
from llm_engineering.application.datasets.splits import hashed_split
from llm_engineering.domain.feedback import Feedback
from llm_engineering.domain.samples import (
    PreferenceSample,
    RatedSample,
    RejectedBy,
    Split,
    sample_id,
)


def feedback_samples(
    feedback: Iterable[Feedback],
    *,
    documents: Mapping[str, Split],
    rule: SplitRule,
    dropped: Counter[str],
) -> tuple[tuple[PreferenceSample, ...], tuple[RatedSample, ...]]:
    """Pairs and ratings, split by a hash of the prompt, so that one prompt is on one side.

    `documents` says where the author's documents are. Feedback on an answer from a document that
    is tested on, or that is not there, is left out; from one that is validated on, it validates.
    """
    pairs: list[PreferenceSample] = []
    rated: list[RatedSample] = []
    for each in feedback:
        split = _split(each, documents, rule)
        if split is None:
            dropped["feedback: on a document that is held out or gone"] += 1
            continue
        if each.edit is not None:
            if not each.by_author:
                dropped["feedback: an edit that is not the author's"] += 1
            elif reason := no_contrast(each.edit, each.served):
                dropped[f"feedback: {reason}"] += 1
            else:
                pairs.append(_pair(each, each.edit, split))
        if each.liked is not None:
            rated.append(_rating(each, each.liked, split))
    return tuple(pairs), tuple(rated)


def documents_behind(
    feedback: Iterable[Feedback],
    pairs: Iterable[PreferenceSample],
    rated: Iterable[RatedSample],
) -> tuple[str, ...]:
    """Ids of the documents whose words are in these samples, which `feedback` has become."""
    used = {*(pair.rejected_from for pair in pairs), *(each.feedback_id for each in rated)}
    return tuple(sorted({key for each in feedback if each.id in used for key in each.document_ids}))


def _split(feedback: Feedback, documents: Mapping[str, Split], rule: SplitRule) -> Split | None:
    touched = {documents.get(key) for key in feedback.document_ids}
    if touched & {Split.TEST, None}:
        return None
    by_prompt = hashed_split(folded_prompt(feedback.prompt), rule)
    if by_prompt is Split.TRAIN and Split.VALIDATION in touched:
        return Split.VALIDATION
    return by_prompt


def _pair(feedback: Feedback, edit: str, split: Split) -> PreferenceSample:
    return PreferenceSample(
        id=sample_id("edit", feedback.id, edit),
        split=split,
        prompt=feedback.prompt,
        chosen=edit,
        rejected=feedback.served,
        rejected_by=RejectedBy.SERVED,
        rejected_from=feedback.id,
        target=None,
    )


def _rating(feedback: Feedback, liked: bool, split: Split) -> RatedSample:
    return RatedSample(
        id=sample_id("rating", feedback.id, str(liked)),
        split=split,
        prompt=feedback.prompt,
        completion=feedback.served,
        liked=liked,
        feedback_id=feedback.id,
    )
