"""A few documents in an index in memory, by hashed words."""

from llm_engineering.application.chunk import ChunkRule
from llm_engineering.application.features import FeaturesConfig, build_features
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.domain.documents import Document
from llm_engineering.infrastructure.bm25 import Bm25Encoder
from llm_engineering.infrastructure.hash_embedder import HashEmbedder
from llm_engineering.infrastructure.memory_documents import MemoryDocumentStore
from llm_engineering.infrastructure.memory_vectors import MemoryVectorIndex
from llm_engineering.infrastructure.rich_progress import Silent

SPARSE = Bm25Encoder()
EMBEDDER = HashEmbedder(dimension=256)
LENIENT = AnswerConfig(min_evidence=0)
"""Hashed words are nearer to chance than meaning is: whatever is found is answered from."""


def indexed(*documents: Document) -> MemoryVectorIndex:
    store, index = MemoryDocumentStore(), MemoryVectorIndex()
    store.put(documents)
    build_features(
        FeaturesConfig(chunk=ChunkRule(max_tokens=40, min_tokens=4)),
        store=store,
        index=index,
        embedder=EMBEDDER,
        sparse=SPARSE,
        progress=Silent(),
    )
    return index
