"""Erasing a document before any index is published, in every vector index."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from llm_engineering.application.erasure import erase_documents
from llm_engineering.infrastructure.memory_conversations import MemoryConversationStore
from llm_engineering.infrastructure.memory_documents import MemoryDocumentStore
from llm_engineering.infrastructure.memory_samples import MemoryFeedbackStore
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from tests.contract.indexed_chunks import MANIFEST, document, embedded, entry
from tests.contract.vector_indexes import Opener


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize(("name", "held"), [("a", True), ("b", False)])
def test_what_is_erased_is_in_no_first_build_that_was_cut_off(
    open_index: Opener, tmp_path: Path, name: str, *, held: bool, fresh: bool
) -> None:
    build = open_index().build(MANIFEST, fresh=fresh)
    build.put([embedded(entry("a"))])
    build.release()
    index = open_index()
    report = erase_documents(
        [document(name).id],
        documents=MemoryDocumentStore(),
        index=index,
        feedback=MemoryFeedbackStore(),
        conversations=MemoryConversationStore(),
        models=FolderModelRegistry(tmp_path),
        now=datetime(2026, 1, 2, tzinfo=UTC),
    )
    left = index.interrupted()

    assert report.chunks == int(held)
    assert (left is None) == held
