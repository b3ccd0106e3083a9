"""Which documents are learnt from and which are held out: the past, later, the latest.

Does not know: spans, prompts.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from llm_engineering.application.datasets.config import SplitRule
from llm_engineering.application.datasets.ngrams import KnownRuns
from llm_engineering.domain.documents import Document
from llm_engineering.domain.samples import Split, SplitBy


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where the splits meet; without dates, shares of a hash."""

    rule: SplitRule
    validation_from: datetime | None
    test_from: datetime | None

    @property
    def by(self) -> SplitBy:
        return SplitBy.HASH if self.test_from is None else SplitBy.TIME

    def split(self, document: Document) -> Split:
        """A document without a date is trained on, unless a hash decides."""
        if self.test_from is None or self.validation_from is None:
            return hashed_split(document.id, self.rule)
        at = document.published_at
        if at is None or at < self.validation_from:
            return Split.TRAIN
        return Split.VALIDATION if at < self.test_from else Split.TEST


def cuts(documents: Sequence[Document], rule: SplitRule) -> Cuts:
    """The latest `test_share` of all documents is tested on, `validation_share` before it.

    Documents of one moment stay together. Where that leaves nothing in some split (few dates, or
    none), a hash of the id decides.
    """
    dated = sorted(each.published_at for each in documents if each.published_at is not None)
    held_out = [round(len(documents) * share) for share in (rule.test_share, rule.validation_share)]
    if min(held_out) < 1 or sum(held_out) >= len(dated):
        return Cuts(rule, None, None)
    test_from = dated[-held_out[0]]
    earlier = [at for at in dated if at < test_from]
    if len(earlier) <= held_out[1]:
        return Cuts(rule, None, None)
    validation_from = earlier[-held_out[1]]
    if validation_from == dated[0]:
        return Cuts(rule, None, None)
    return Cuts(rule, validation_from, test_from)


def hashed_split(key: str, rule: SplitRule) -> Split:
    """Always the same for the same key, whatever else there is."""
    share = int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / (1 << 48)
    if share < rule.test_share:
        return Split.TEST
    return Split.VALIDATION if share < rule.test_share + rule.validation_share else Split.TRAIN


def by_split(documents: Iterable[Document], where: Cuts) -> dict[Split, list[Document]]:
    found: dict[Split, list[Document]] = {split: [] for split in Split}
    for document in documents:
        found[where.split(document)].append(document)
    return found


@dataclass(frozen=True, slots=True)
class Separated:
    """Documents by split, none of which repeats those of the splits before its own."""

    documents: dict[Split, list[Document]]
    known: dict[Split, KnownRuns]
    """What a row of that split must not repeat; nothing for the training split."""
    largest: float
    """Share of runs that some held-out document still has in common with them."""


def separated(
    documents: Mapping[Split, Sequence[Document]], rule: SplitRule, dropped: Counter[str]
) -> Separated:
    """Drop held-out documents that repeat too much of the splits before theirs."""
    kept = {Split.TRAIN: list(documents[Split.TRAIN])}
    known = {Split.TRAIN: KnownRuns()}
    largest = 0.0
    for before, split in pairwise(Split):
        known[split] = known[before].with_texts(document.text for document in kept[before])
        shares = {each.id: known[split].share(each.text) for each in documents[split]}
        kept[split] = [
            each for each in documents[split] if shares[each.id] <= rule.max_document_overlap
        ]
        if lost := len(documents[split]) - len(kept[split]):
            dropped["document: repeats what is trained on"] += lost
        largest = max([largest, *(shares[each.id] for each in kept[split])])
    return Separated(kept, known, largest)
