"""How well the labels of sentences agree with labels made by hand.

A hand says `supported`, `contradicted`, `unsupported` or `partly`; a check says `said`,
`supported` or `unsupported`. What a check calls said or supported is right when the hand calls it
supported.

Does not know: where the file is, which model checks.
"""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm_engineering.application.evaluation.intervals import Estimate, share_of
from llm_engineering.application.markdown import blocks
from llm_engineering.application.quotable import quotable
from llm_engineering.application.rag.grounding import Grounder
from llm_engineering.domain.chat import Passage, Sentence, Verdict
from llm_engineering.domain.documents import Author, DocumentKind, DocumentRef
from llm_engineering.domain.errors import InvalidInput

Hand = Literal["supported", "contradicted", "unsupported", "partly"]
HANDS: tuple[Hand, ...] = get_args(Hand)
Split = Literal["fit", "test"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Labelled(Frozen):
    """A sentence as a model might answer, with the evidence it had and what a hand says of it."""

    id: str
    document: str
    evidence: str = Field(min_length=1)
    question: str
    sentence: str = Field(min_length=1)
    label: Hand
    split: Split
    kind: str = ""
    """How it was made from its evidence: 'swap', 'tense', 'synonym'; '' where nobody says."""


class GroundingReport(Frozen):
    """One half of the sentences, checked."""

    split: Split
    sentences: int
    confusion: dict[Hand, dict[Verdict, int]]
    """By what the hand says, then by what the check says."""
    said_precision: Estimate | None
    """None where nothing was called so."""
    supported_precision: Estimate | None
    backed_precision: Estimate | None
    """Of said and supported together."""
    backed_recall: Estimate | None
    """Of what the hand calls supported, what the check calls said or supported."""
    mistaken: tuple[str, ...]
    """Ids of what was called said or supported and is not."""


def read_labelled(text: str, *, name: str) -> tuple[Labelled, ...]:
    """The rows of a CSV with a header; raises InvalidInput, naming file and row."""
    rows: list[Labelled] = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        try:
            rows.append(Labelled.model_validate(row))
        except ValidationError as error:
            first = error.errors()[0]
            column = ".".join(map(str, first["loc"]))
            raise InvalidInput(
                f"{name}, row {number}, column {column!r}: {first['msg']}; "
                f"the columns are {', '.join(Labelled.model_fields)}"
            ) from None
    if not rows:
        raise InvalidInput(f"{name} holds no sentences; name a CSV with a header and rows")
    return tuple(rows)


def evaluate_grounding(
    rows: Sequence[Labelled],
    *,
    split: Split,
    grounder: Grounder,
    advance: Callable[[], None] = lambda: None,
) -> GroundingReport:
    """Check the sentences of `split` against the evidence in the file. Raises InvalidInput when
    there are none, and what the models raise."""
    chosen = [row for row in rows if row.split == split]
    if not chosen:
        raise InvalidInput(f"no sentence is of the half {split!r}; fill the column 'split'")
    confusion = {hand: dict.fromkeys(Verdict, 0) for hand in HANDS}
    found: list[tuple[Labelled, Verdict]] = []
    for row in chosen:
        verdict = verdict_of(row, grounder=grounder)
        confusion[row.label][verdict] += 1
        found.append((row, verdict))
        advance()
    right = [(row.label == "supported", verdict) for row, verdict in found]
    backed = [good for good, verdict in right if verdict is not Verdict.UNSUPPORTED]
    return GroundingReport(
        split=split,
        sentences=len(chosen),
        confusion=confusion,
        said_precision=_estimate([g for g, v in right if v is Verdict.SAID]),
        supported_precision=_estimate([g for g, v in right if v is Verdict.SUPPORTED]),
        backed_precision=_estimate(backed),
        backed_recall=_estimate([v is not Verdict.UNSUPPORTED for g, v in right if g]),
        mistaken=tuple(
            row.id
            for row, verdict in found
            if verdict is not Verdict.UNSUPPORTED and row.label != "supported"
        ),
    )


def verdict_of(row: Labelled, *, grounder: Grounder) -> Verdict:
    """The worst of the sentence's parts; unsupported where it is read as claiming nothing."""
    checked = grounder.check(row.sentence, [passage_of(row)])
    verdicts = {each.verdict for each in checked.sentences}
    for verdict in (Verdict.UNSUPPORTED, Verdict.SUPPORTED, Verdict.SAID):
        if verdict in verdicts:
            return verdict
    return Verdict.UNSUPPORTED


def passage_of(row: Labelled) -> Passage:
    """The evidence as retrieval would give it."""
    author = Author(name="the author")
    return Passage(
        document=DocumentRef(
            id=row.document,
            author_id=author.id,
            author=author.name,
            url=f"file:///{row.document}",
            title="",
            kind=DocumentKind.NOTE,
            source="files:benchmark",
            language="en",
        ),
        start=0,
        end=len(row.evidence),
        text=row.evidence,
        sentences=tuple(
            Sentence(start=start, end=end)
            for start, end in quotable(row.evidence, blocks(row.evidence), language="en")
        ),
        tokens=len(row.evidence.split()),
        score=1.0,
    )


def _estimate(values: Sequence[bool]) -> Estimate | None:
    """None for no values."""
    if not values:
        return None
    return share_of(sum(values), len(values))
