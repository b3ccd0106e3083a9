"""Passages made from plain text, and a grounder over hashed words, for tests of grounding."""

from datetime import datetime

from llm_engineering.application.markdown import blocks
from llm_engineering.application.quotable import quotable
from llm_engineering.application.rag.grounding import Grounder, GroundingConfig
from llm_engineering.domain.chat import Passage, Sentence
from llm_engineering.domain.documents import Author
from llm_engineering.infrastructure.bm25 import Bm25Encoder
from llm_engineering.infrastructure.hash_embedder import HashEmbedder
from tests.unit.writing import ADA, document

SPARSE = Bm25Encoder()
EMBEDDER = HashEmbedder(dimension=256)


def passage(
    text: str,
    *,
    at: datetime | None = None,
    title: str = "A note",
    author: Author = ADA,
    start: int = 0,
    language: str | None = "en",
) -> Passage:
    """The whole text as evidence, its statements found as those of documents are."""
    return Passage(
        document=document(
            text,
            url=f"https://ada.example/{abs(hash((text, at))):x}",
            title=title,
            published_at=at,
            author=author,
            language=language,
        ).ref(),
        start=start,
        end=start + len(text),
        text=text,
        sentences=tuple(
            Sentence(start=start + a, end=start + b)
            for a, b in quotable(text, blocks(text), language="en")
        ),
        tokens=len(text.split()),
        score=1.0,
    )


def grounder(**config: object) -> Grounder:
    return Grounder(GroundingConfig.model_validate(config), SPARSE, EMBEDDER)
