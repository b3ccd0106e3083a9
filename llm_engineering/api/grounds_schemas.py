"""What an answer rests on, as the API gives it: citations, labelled sentences, changes, steps."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from llm_engineering.domain import chat as domain


class Schema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Citation(Schema):
    """A verbatim quotation and where to check it."""

    number: int
    """Its place in the list, from 1."""
    title: str
    url: str
    author: str
    published_at: datetime | None
    heading_path: tuple[str, ...]
    """Headings above the quotation, outermost first."""
    start: int
    """Offset of the first character in the cleaned document, in code points."""
    end: int
    """Offset after the last character."""
    quote: str
    """The characters [start, end) of the cleaned document."""
    document_id: str

    @classmethod
    def of(cls, citation: domain.Citation, *, number: int) -> Self:
        return cls(number=number, **citation.model_dump())


class Sentence(Schema):
    """A sentence of the answer and whether the author's writing backs it."""

    start: int
    """Offset of its first character in the answer's text, in code points."""
    end: int
    """Offset after its last character."""
    verdict: domain.Verdict
    """`said`: it stands in the author's writing; `supported`: it follows from it; `unsupported`:
    nothing that was found says it."""
    source: Citation | None
    """The author's sentence behind it. `number` is its place among the answer's citations, or 0
    where the answer does not cite it."""


class Grounding(Schema):
    """The check of an answer against its evidence, sentence by sentence."""

    share: float
    """Part of what the model claimed that is said or supported; 1 where it claimed nothing."""
    replaced: bool
    """Too little was: the author's own sentences stand in place of what the model wrote."""
    withdrawn: int
    """Code points at the beginning of the text that had been streamed when that was known. They
    no longer count; what follows them does."""
    sentences: tuple[Sentence, ...]
    """In order; headings, code and questions claim nothing."""


class Change(Schema):
    """The author said one thing and later another."""

    before: Citation
    after: Citation


class Step(Schema):
    """One step towards an answer that took several."""

    kind: Literal["plan", "search", "read", "draft"]
    text: str
    document_ids: tuple[str, ...]
    took_ms: float


class Grounded(Schema):
    """What every answer says of itself beside its text."""

    answer_id: str
    """By which feedback names the answer."""
    disclosure: str
    """Says that a machine wrote it, and from whose writing."""
    grounding: Grounding | None
    """null: nothing was checked, because there was no evidence or no answer."""
    changes: tuple[Change, ...]
    """Where the author's writing contradicts itself in time, the newer statement second."""
    steps: tuple[Step, ...]
    """Of an answer that took several searches."""


def cited(citations: Sequence[domain.Citation]) -> tuple[Citation, ...]:
    """Numbered from 1."""
    return tuple(Citation.of(each, number=number) for number, each in enumerate(citations, 1))


def grounded(answer: domain.Answer) -> dict[str, Any]:
    """The fields of `Grounded` for an answer."""
    numbers = {citation: number for number, citation in enumerate(answer.citations, 1)}

    def placed(citation: domain.Citation) -> Citation:
        return Citation.of(citation, number=numbers.get(citation, 0))

    checked = answer.grounding
    return {
        "answer_id": answer.id,
        "disclosure": answer.disclosure,
        "grounding": checked
        and Grounding(
            share=round(checked.share, 4),
            replaced=checked.replaced,
            withdrawn=checked.withdrawn,
            sentences=tuple(
                Sentence(
                    start=each.start,
                    end=each.end,
                    verdict=each.verdict,
                    source=placed(each.source) if each.source else None,
                )
                for each in checked.sentences
            ),
        ),
        "changes": tuple(
            Change(before=placed(each.before), after=placed(each.after)) for each in answer.changes
        ),
        "steps": tuple(Step(**each.model_dump()) for each in answer.steps),
    }


_QUOTE = {
    "number": 1,
    "title": "One file is a feature",
    "url": "https://ada.example/one-file",
    "author": "Ada Lovelace",
    "published_at": "2024-03-08T00:00:00Z",
    "heading_path": ["One file is a feature", "Backups"],
    "start": 412,
    "end": 476,
    "quote": "A backup is then one copy, and a restore is the same copy back.",
    "document_id": "4f0c2a52-7f0e-5d0a-8c9b-1d2a6f0b7e11",
}

GROUNDED_EXAMPLE: dict[str, Any] = {
    "citations": [_QUOTE],
    "answer_id": "6f1c0d6e0b7a4c1f9d35a1b2c3d4e5f6",
    "disclosure": "Written by an AI twin from the writing of Ada Lovelace, not by Ada Lovelace. "
    "It can be wrong; the citations show what was really written.",
    "grounding": {
        "share": 1.0,
        "replaced": False,
        "withdrawn": 0,
        "sentences": [{"start": 0, "end": 63, "verdict": "said", "source": _QUOTE}],
    },
    "changes": [],
    "steps": [],
}
