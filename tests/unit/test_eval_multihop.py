"""One search and several are compared on the same questions, at equal budgets."""

from dataclasses import replace

import pytest

from llm_engineering.application.evaluation.binding import BoundQuestion
from llm_engineering.application.evaluation.multihop import (
    compare_searches,
    half_of,
    multi_hop_ids,
    read_multi_hop,
)
from llm_engineering.application.evaluation.questions import Question, Reference
from llm_engineering.application.evaluation.span_metrics import Gold
from llm_engineering.application.rag.agentic import AgenticConfig, Gathered, gather
from llm_engineering.application.rag.find import SearchPorts
from llm_engineering.application.rag.retrieve import RetrievalConfig
from llm_engineering.application.rag.stages import StagesConfig
from llm_engineering.domain.errors import InvalidInput
from tests.unit.chatting import QuotingChat
from tests.unit.indexing import EMBEDDER, SPARSE, indexed
from tests.unit.writing import document

TEA = document("# Tea\n\nWater of 80 degrees keeps it sweet.", url="https://a.example/t")
BIKES = document("# Bikes\n\nI oil the chain every Sunday.", url="https://a.example/b")
PORTS = SearchPorts(index=indexed(TEA, BIKES), embedder=EMBEDDER, sparse=SPARSE, chat=QuotingChat())
ROW = "m1,How hot and how often?,combination,tea.md,80 degrees,bikes.md,every Sunday,both\n"
HEADER = "id,question,kind,document_1,evidence_1,document_2,evidence_2,answer\n"


def searching(question: str) -> Gathered:
    return gather(
        question,
        config=AgenticConfig(),
        retrieval=RetrievalConfig(),
        stages=StagesConfig(),
        ports=PORTS,
    )


def only_tea(question: str) -> Gathered:
    """What is found, but for the bikes."""
    whole = searching(question)
    hits = tuple(
        hit
        for hit in whole.findings.hits
        if whole.findings.chunks[hit.sentence.chunk].document.id == TEA.id
    )
    return replace(whole, findings=replace(whole.findings, hits=hits), searches=1)


def asked() -> BoundQuestion:
    references = tuple(Reference(content=word, path="x") for word in ("80 degrees", "every Sunday"))
    tea, bikes = TEA.text.index("80 degrees"), BIKES.text.index("every Sunday")
    spans = {TEA.id: [(tea, tea + 10)], BIKES.id: [(bikes, bikes + 12)]}
    question = Question(question="How hot, and oil how often?", references=references)
    return BoundQuestion(question, Gold.of(spans))


def test_the_gain_is_that_of_questions_with_all_of_their_evidence() -> None:
    report = compare_searches([asked()], half="test", single=only_tea, several=searching)
    for each in report.budgets:
        assert (each.whole_single, each.whole_several, each.whole_gain.mean) == (0, 1, 1)
        assert (each.recall_single, each.recall_several, each.recall_gain.mean) == (0.5, 1, 0.5)
    assert (report.searches, report.stayed_at_one) == (1, 1)


def test_a_reference_that_no_text_holds_is_never_found() -> None:
    lost = replace(asked(), unlocated=1)
    report = compare_searches([lost], half="test", single=searching, several=searching)
    assert report.budgets[0].whole_single == 0
    assert report.budgets[0].recall_single == pytest.approx(2 / 3)


def test_questions_without_an_answer_only_cost_searches() -> None:
    nothing = BoundQuestion(Question(question="Why?", corpus_id="tea.md"), Gold.of({}))
    report = compare_searches([asked(), nothing], half="fit", single=searching, several=searching)
    assert (report.questions, report.answerable) == (2, 1)
    with pytest.raises(InvalidInput, match="no question has a reference"):
        compare_searches([nothing], half="fit", single=searching, several=searching)


def test_a_file_of_two_notes_each_is_read() -> None:
    read = read_multi_hop(HEADER + ROW, name="q.csv")
    assert [(each.path, each.content) for each in read.questions[0].references] == [
        ("tea.md", "80 degrees"),
        ("bikes.md", "every Sunday"),
    ]
    assert multi_hop_ids(HEADER + ROW) == ("m1",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,question\nm1,Why?\n", "has no column 'kind'"),
        (HEADER, "holds no question"),
        (HEADER + ROW.replace("80 degrees", ""), "row 2: Value error, has no place"),
        (HEADER + "m1,Why?\n", "row 2"),
    ],
)
def test_a_wrong_file_is_told_with_its_row(text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read_multi_hop(text, name="q.csv")


def test_the_halves_are_the_same_for_ever() -> None:
    halves = [half_of(f"m{number:02}") for number in range(1, 41)]
    assert halves.count("fit") == halves.count("test") == 20
    assert [half_of("m01"), half_of("m02")] == ["test", "fit"]
