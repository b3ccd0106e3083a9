"""Answer: retrieve, judge the evidence, let the chat model speak or abstain."""

from pydantic import BaseModel, ConfigDict, Field

from llm_engineering.application.rag.retrieve import RetrievalConfig
from llm_engineering.domain.chat import Answer
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.ports.models import ChatModel, Embedder, SparseEncoder
from llm_engineering.ports.stores import VectorIndex


class AnswerConfig(BaseModel):
    """How a question is answered (configs/rag.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retrieval: RetrievalConfig = RetrievalConfig()
    min_evidence: float = Field(default=0.4, ge=0, le=1)
    max_tokens: int = Field(default=512, ge=16)


def answer(
    question: str,
    *,
    config: AnswerConfig,
    index: VectorIndex,
    embedder: Embedder,
    sparse: SparseEncoder,
    chat: ChatModel,
    where: DocumentFilter = EVERYTHING,
) -> Answer:
    """Answer with citations, or abstain in plain words. Raises as `search` does."""
    raise NotImplementedError
