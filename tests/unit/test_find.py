"""Finding runs the stages that are switched on, and says what it did and did not do."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_engineering.application.chunk import ChunkRule
from llm_engineering.application.features import FeaturesConfig, build_features
from llm_engineering.application.rag.expand import ExpandConfig
from llm_engineering.application.rag.find import Findings, SearchPorts, find, support
from llm_engineering.application.rag.rerank import RerankConfig
from llm_engineering.application.rag.retrieve import RetrievalConfig
from llm_engineering.application.rag.rewrite import RewriteConfig
from llm_engineering.application.rag.stages import StagesConfig
from llm_engineering.domain.chat import Message, Role
from llm_engineering.domain.chunks import Chunk, SentenceId
from llm_engineering.domain.documents import Author, DocumentFilter
from llm_engineering.domain.errors import IndexEmpty, InvalidConfig, InvalidInput
from llm_engineering.infrastructure.bm25 import Bm25Encoder
from llm_engineering.infrastructure.hash_embedder import HashEmbedder
from llm_engineering.infrastructure.memory_documents import MemoryDocumentStore
from llm_engineering.infrastructure.memory_vectors import MemoryVectorIndex
from llm_engineering.infrastructure.rich_progress import Silent
from tests.unit.chatting import QuotingChat, ScriptedChat
from tests.unit.writing import document

TEA = "# Tea\n\nI never boil green tea. Water of 80 degrees keeps it sweet. Boiling burns it."
BIKES = "# Bikes\n\nA steel frame outlives its rider. I oil the chain every second Sunday."
BREAD = "# Bread\n\nSourdough wants patience. Rye wants even more of it than wheat does."
TITLES = {"Tea", "Bikes", "Notes on bread"}
PLAIN = StagesConfig()
BOB = Author(name="Bob")


class WordReranker:
    """Prefers texts that hold `word`."""

    name = "word"

    def __init__(self, word: str) -> None:
        self._word = word
        self.read: list[str] = []

    def score(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        self.read += passages
        return np.array([self._word in passage for passage in passages], dtype=np.float32)


class ForgetfulIndex(MemoryVectorIndex):
    """Bikes are published away between search and fetch."""

    def chunks(self, chunk_ids: Sequence[str]) -> dict[str, Chunk]:
        held = super().chunks(chunk_ids)
        return {key: chunk for key, chunk in held.items() if chunk.document.title != "Bikes"}


def ports_over(index: MemoryVectorIndex) -> SearchPorts:
    """Ports of an index that holds TEA and BREAD by Ada and BIKES by Bob."""
    store, embedder, sparse = MemoryDocumentStore(), HashEmbedder(dimension=256), Bm25Encoder()
    store.put(
        [
            document(TEA, url="https://ada.example/tea", title="Tea"),
            document(BREAD, url="https://ada.example/bread", title="Notes on bread"),
            document(BIKES, url="https://bob.example/bikes", title="Bikes", author=BOB),
        ]
    )
    build_features(
        FeaturesConfig(chunk=ChunkRule(max_tokens=40, min_tokens=4)),
        store=store,
        index=index,
        embedder=embedder,
        sparse=sparse,
        progress=Silent(),
    )
    return SearchPorts(index=index, embedder=embedder, sparse=sparse, chat=QuotingChat())


@pytest.fixture(scope="module")
def ports() -> SearchPorts:
    return ports_over(MemoryVectorIndex())


def finding(
    question: str,
    *,
    ports: SearchPorts,
    stages: StagesConfig = PLAIN,
    history: Sequence[Message] = (),
    limit: int | None = None,
    budget: int = 1_200,
    where: DocumentFilter | None = None,
) -> Findings:
    return find(
        question,
        retrieval=RetrievalConfig(budget_tokens=budget),
        stages=stages,
        ports=ports,
        where=where or DocumentFilter(),
        history=history,
        limit=limit,
    )


def titles(findings: Findings) -> list[str]:
    return [found.passage.document.title for found in findings.found]


def sentences(findings: Findings) -> list[SentenceId]:
    """All that were ranked, whatever their order."""
    return sorted(hit.sentence for hit in findings.hits)


def test_without_a_stage_the_question_itself_is_searched_for(ports: SearchPorts) -> None:
    findings = finding("  How do I oil the chain?\n", ports=ports)
    assert findings.question == findings.standalone == "How do I oil the chain?"
    assert findings.where == DocumentFilter()
    assert titles(findings)[0] == "Bikes"
    best = findings.found[0]
    assert BIKES[best.best[0] : best.best[1]].startswith("I oil the chain")
    assert findings.not_held == ""


def test_a_question_by_whom_finds_only_what_they_wrote(ports: SearchPorts) -> None:
    stages = StagesConfig(self_query=True)
    findings = finding("What did Bob write about green tea?", ports=ports, stages=stages)
    assert findings.where == DocumentFilter(authors=("Bob",))
    assert findings.question == "green tea?"
    assert findings.standalone == "What did Bob write about green tea?"
    assert titles(findings) == ["Bikes"]


def test_a_question_for_an_author_who_is_not_held_finds_nothing_and_says_so(
    ports: SearchPorts,
) -> None:
    asked = "What did Grace write about green tea?"
    findings = finding(asked, ports=ports, stages=StagesConfig(self_query=True))
    assert (findings.found, findings.hits, findings.chunks) == ((), (), {})
    assert "'Grace'" in findings.not_held
    assert "Ada" in findings.not_held
    assert "search" not in findings.timings_ms
    assert support(findings, ports=ports) == 0.0
    assert finding(asked, ports=ports).found


def test_what_is_asked_for_beside_the_question_narrows_it_further(ports: SearchPorts) -> None:
    findings = finding(
        "green tea", ports=ports, where=DocumentFilter(authors=("Bob",)), stages=PLAIN
    )
    assert titles(findings) == ["Bikes"]


def test_a_reranker_changes_the_order_and_reads_what_stands_around(ports: SearchPorts) -> None:
    reranker = WordReranker("Rye")
    stages = StagesConfig(rerank=RerankConfig(weight=1.0))
    plain = finding("green tea", ports=ports, limit=3)
    findings = finding("green tea", ports=replace(ports, reranker=reranker), stages=stages, limit=3)
    assert titles(plain)[0] == "Tea"
    assert titles(findings)[0] == "Notes on bread"
    assert findings.found[0].hit.ranks[-1].leg == "rerank"
    assert findings.hits[0] == findings.found[0].hit
    assert sentences(findings) == sentences(plain)
    assert len(reranker.read) == len(plain.hits)
    whole = f"Notes on bread\nBread\n{BREAD}"
    assert reranker.read.count(whole) == 2, "each of its sentences is read with the other"


def test_a_reranker_loses_and_doubles_no_hit_when_a_document_is_removed_meanwhile() -> None:
    forgetful = replace(ports_over(ForgetfulIndex()), reranker=WordReranker("Rye"))
    stages = StagesConfig(rerank=RerankConfig(weight=1.0))
    assert sentences(finding("green tea", ports=forgetful, stages=stages)) == sentences(
        finding("green tea", ports=forgetful)
    )


def test_a_reranker_without_weight_is_not_asked(ports: SearchPorts) -> None:
    reranker = WordReranker("Rye")
    findings = finding("green tea", ports=replace(ports, reranker=reranker))
    assert titles(findings)[0] == "Tea"
    assert reranker.read == []


def test_a_follow_up_question_takes_its_terms_from_the_history(ports: SearchPorts) -> None:
    history = [
        Message(role=Role.USER, content="Does sourdough want patience?"),
        Message(role=Role.ASSISTANT, content="It does."),
    ]
    stages = StagesConfig(rewrite=RewriteConfig(mode="terms"))
    findings = finding("And why is that?", ports=ports, stages=stages, history=history)
    assert findings.standalone.startswith("And why is that?")
    assert {"sourdough", "patience"} <= set(findings.standalone.split())
    assert titles(findings)[0] == "Notes on bread"
    unread = finding("And why is that?", ports=ports, history=history)
    assert unread.standalone == "And why is that?"


def test_other_wordings_are_searched_for_but_the_question_stays(ports: SearchPorts) -> None:
    chat = ScriptedChat("steel frame rider\nchain oil")
    stages = StagesConfig(expand=ExpandConfig(mode="queries"))
    findings = finding("which metal?", ports=replace(ports, chat=chat), stages=stages)
    assert findings.question == "which metal?"
    assert titles(findings)[0] == "Bikes"
    legs = {rank.leg for hit in findings.hits for rank in hit.ranks}
    assert {"s2", "s2/2", "s2/3"} <= legs


def test_each_stage_is_timed_and_no_stage_twice(ports: SearchPorts) -> None:
    timings = finding("green tea", ports=ports).timings_ms
    assert timings.keys() == {"plan", "embed", "search", "fuse", "fetch", "rerank", "select"}
    assert min(timings.values()) >= 0


def test_the_budget_is_in_the_chat_models_tokens(ports: SearchPorts) -> None:
    findings = finding("green tea", ports=ports, budget=50)
    assert sum(found.passage.tokens for found in findings.found) <= 50
    for found in findings.found:
        assert found.passage.tokens == len(found.passage.text.split())


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_limit_is_the_number_of_passages_whatever_the_budget(
    ports: SearchPorts, limit: int
) -> None:
    findings = finding("green tea", ports=ports, limit=limit, budget=50)
    assert len(findings.found) == limit
    assert titles(findings)[0] == "Tea"


def test_a_document_that_is_removed_meanwhile_is_passed_over() -> None:
    findings = finding("How do I oil the chain?", ports=ports_over(ForgetfulIndex()))
    assert set(titles(findings)) == TITLES - {"Bikes"}
    assert all(chunk.document.title != "Bikes" for chunk in findings.chunks.values())
    ranked = {hit.sentence.chunk for hit in findings.hits}
    assert ranked - findings.chunks.keys(), "it was ranked"


def test_the_same_question_is_embedded_once(ports: SearchPorts) -> None:
    class Counting(HashEmbedder):
        asked = 0

        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            self.asked += len(texts)
            return super().embed(texts)

    embedder = Counting(dimension=256)
    fresh = SearchPorts(
        index=ports.index, embedder=embedder, sparse=ports.sparse, chat=QuotingChat()
    )
    first, second = (finding("green tea", ports=fresh) for _ in range(2))
    assert first.hits == second.hits
    assert embedder.asked == 1


def test_support_tells_an_answer_from_a_neighbourhood(ports: SearchPorts) -> None:
    near, far, off = (
        support(finding(asked, ports=ports), ports=ports)
        for asked in ("green tea", "Which Sunday is Easter?", "zebra marmalade")
    )
    assert 1 >= near > 0.5 > far > off >= 0


def test_support_reads_no_more_than_it_takes_and_no_text_twice(ports: SearchPorts) -> None:
    class Counting(HashEmbedder):
        read: tuple[tuple[str, ...], ...] = ()

        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            self.read += (tuple(texts),)
            return super().embed(texts)

    embedder = Counting(dimension=256)
    counted = replace(ports, embedder=embedder)

    def read(question: str, *, enough: float) -> tuple[tuple[str, ...], ...]:
        findings = finding(question, ports=counted)
        embedder.read = ()
        support(findings, ports=counted, enough=enough)
        return embedder.read

    (first,), *others = read("green tea or a steel frame", enough=1.0)
    assert read("green tea or a steel frame", enough=0.0) == ((first,),)
    (rest,) = others
    assert rest
    assert first not in rest
    assert len(set(rest)) == len(rest)


def test_nothing_found_supports_nothing(ports: SearchPorts) -> None:
    findings = finding("green tea", ports=ports, where=DocumentFilter(authors=("Nobody",)))
    assert (findings.found, findings.hits) == ((), ())
    assert support(findings, ports=ports) == 0.0


def test_a_stage_that_lacks_its_model_is_refused(ports: SearchPorts) -> None:
    with pytest.raises(InvalidConfig, match="TWIN_RERANKER__KIND"):
        finding("tea", ports=ports, stages=StagesConfig(rerank=RerankConfig(weight=0.5)))
    with pytest.raises(InvalidConfig, match="TWIN_CHAT__KIND"):
        finding("tea", ports=ports, stages=StagesConfig(expand=ExpandConfig(mode="hyde")))


def test_an_empty_question_is_refused(ports: SearchPorts) -> None:
    with pytest.raises(InvalidInput, match="the question is empty"):
        finding(" \n", ports=ports)


def test_an_index_that_was_never_built_says_how_to_build_it(ports: SearchPorts) -> None:
    with pytest.raises(IndexEmpty, match="twin run"):
        finding("tea", ports=replace(ports, index=MemoryVectorIndex()))
