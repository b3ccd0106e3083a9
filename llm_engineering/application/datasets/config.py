"""What a sample set is made of (configs/datasets.yaml)."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SpanRule(Frozen):
    """Which pieces of a document may be targets."""

    min_characters: int = Field(default=130, ge=1)
    max_characters: int = Field(default=2_800, ge=1)
    max_code_share: float = Field(default=0.4, ge=0, le=1)
    """Of a target's characters: more is somebody's code or a program's output, not prose."""
    boilerplate_documents: int = Field(default=3, ge=2)
    """A paragraph that stands in so many documents is furniture."""
    rows_per_document: int = Field(default=32, ge=1)
    """So that a few long documents do not drown the rest."""
    forms_per_span: int = Field(default=2, ge=1, le=4)
    """Prompts that ask for one span, a teacher's not counted."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_characters > self.max_characters:
            raise ValueError(
                f"min_characters {self.min_characters} is above "
                f"max_characters {self.max_characters}"
            )
        return self


class SplitRule(Frozen):
    """Which documents are held out: the latest for testing, those before for validation."""

    validation_share: float = Field(default=0.1, gt=0, lt=0.5)
    test_share: float = Field(default=0.1, gt=0, lt=0.5)
    max_document_overlap: float = Field(default=0.05, ge=0, lt=1)
    """Share of a held-out document's runs of eight words that earlier splits may hold as well."""
    max_span_overlap: float = Field(default=0.0, ge=0, lt=1)
    """The same of a held-out target with its opening."""


class TeacherRule(Frozen):
    """Instructions by the chat model, if it is one that generates."""

    calls: int = Field(default=2_000, ge=0)
    """At most so many spans are shown to it; 0: none."""
    at_once: int = Field(default=4, ge=1, le=64)
    max_tokens: int = Field(default=120, ge=16)
    """Longest instruction, in its tokens."""
    temperature: float | None = Field(default=0.0, ge=0)
    """0: the same instruction whenever it is asked; null for a model that takes no temperature."""


class DatasetsConfig(Frozen):
    """How a sample set is made from the document store."""

    author: str | None = None
    """Whose twin it is for; may be left out while the store holds only one author."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes; none: all. A document whose language is not known counts as any."""
    spans: SpanRule = SpanRule()
    split: SplitRule = SplitRule()
    teacher: TeacherRule = TeacherRule()
    rejected: Literal["none", "other_author"] = "other_author"
    """What the preference pairs reject before there are answers by a model."""
    min_train: int = Field(default=200, ge=1)
    """Instruct rows; a smaller set is refused."""
    min_held_out: int = Field(default=20, ge=1)
    """Instruct rows of the validation split, and of the test split."""
