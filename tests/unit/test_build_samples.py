"""A sample set: what it promises of every row, and when it is refused."""

from datetime import UTC, datetime

import pytest

from llm_engineering.application.clean import clean
from llm_engineering.application.datasets.config import DatasetsConfig, SpanRule, TeacherRule
from llm_engineering.application.datasets.leaks import folded_prompt, leaks
from llm_engineering.application.rag.prompts import instructed
from llm_engineering.domain.chat import ChatRequest, Completion
from llm_engineering.domain.errors import BackendUnavailable, TooFewSamples
from llm_engineering.domain.samples import PromptForm, SampleSet, Split
from tests.unit.chatting import QuotingChat, ScriptedChat
from tests.unit.corpus import ADA, SMALL, built, held, note, notes

TAUGHT = SMALL.model_copy(update={"teacher": TeacherRule(calls=12, at_once=2)})


class FailingChat(ScriptedChat):
    """Fails every time, or every third time."""

    def __init__(self, said: str, *, every: int) -> None:
        super().__init__(said)
        self.every = every

    def complete(self, request: ChatRequest) -> Completion:
        super().complete(request)
        if len(self.requests) % self.every == 0:
            raise BackendUnavailable("the chat server at 127.0.0.1:9 does not answer; start it")
        return self._completion


@pytest.fixture(scope="module")
def samples() -> SampleSet:
    return built(notes())


def test_every_target_is_an_exact_span_of_a_stored_document(samples: SampleSet) -> None:
    store = held(notes())

    assert len(samples.instruct) > 100
    for sample in samples.instruct:
        document = store.get(sample.target.document.id)
        text = clean(document).text
        assert text[sample.target.start : sample.target.end] == sample.completion
        assert sample.target.content_hash == document.content_hash
        assert sample.target.document == document.ref()


def test_no_target_holds_what_somebody_else_said(samples: SampleSet) -> None:
    assert not [each for each in samples.instruct if "Somebody else said" in each.completion]


def test_splits_are_by_document_and_by_time(samples: SampleSet) -> None:
    of = {
        split: {each.target.document.id for each in samples.instruct if each.split is split}
        for split in Split
    }
    assert not of[Split.TRAIN] & of[Split.VALIDATION]
    assert not (of[Split.TRAIN] | of[Split.VALIDATION]) & of[Split.TEST]
    counts = samples.manifest.splits
    last, first = counts[Split.TRAIN].last, counts[Split.VALIDATION].first
    assert last is not None
    assert first is not None
    assert last < first
    assert counts[Split.TRAIN].documents == len(of[Split.TRAIN])


def test_nothing_leaks_and_no_prompt_is_asked_twice(samples: SampleSet) -> None:
    prompts = [folded_prompt(each.prompt) for each in samples.instruct]

    assert leaks(samples.instruct, max_overlap=0) == ()
    assert len(set(prompts)) == len(prompts)


def test_one_span_is_asked_for_in_several_forms(samples: SampleSet) -> None:
    forms = {each.form for each in samples.instruct}
    persona, _ = instructed("", author=ADA.name)

    assert {PromptForm.TITLE, PromptForm.OPENING, PromptForm.QUESTION} <= forms
    assert all(each.prompt[0] == persona for each in samples.instruct)


def test_the_same_documents_give_the_same_version_whenever_and_in_any_order(
    samples: SampleSet,
) -> None:
    later = built(list(reversed(notes())), now=datetime(2027, 1, 1, tzinfo=UTC))

    assert later.manifest.version == samples.manifest.version
    assert later.instruct == samples.instruct
    assert built(notes(41)).manifest.version != samples.manifest.version


def test_long_documents_do_not_drown_the_rest() -> None:
    few = SMALL.model_copy(update={"spans": SpanRule(rows_per_document=3)})
    made = built(notes(), config=few)

    counts = {split.documents: split.instruct for split in made.manifest.splits.values()}
    assert all(rows <= 3 * documents for documents, rows in counts.items())
    assert made.manifest.dropped["row: its document has enough"] > 0


def test_a_set_that_is_too_small_says_how_many_documents_are_needed() -> None:
    with pytest.raises(
        TooFewSamples,
        match=r"12 documents give \d+ train rows, 200 are needed \(about \d+ such documents\)",
    ):
        built(notes(12), config=DatasetsConfig())


def test_a_few_words_are_too_few() -> None:
    with pytest.raises(TooFewSamples, match="1 documents give 0 train rows, 20 are needed"):
        built([note(1, text="Hello.")])


def test_a_teacher_asks_for_spans_that_stand_alone() -> None:
    chat = ScriptedChat("Explain casually how the parts of the kit fit into the engine of today.")
    made = built(notes(), config=TAUGHT, teacher=chat)

    taught = [each for each in made.instruct if each.form is PromptForm.TEACHER]
    assert len(chat.requests) == 12
    assert [each.prompt[-1].content for each in taught] == [
        "Explain how the parts of the kit fit into the engine of today."
    ]  # the same instruction again is asked once
    assert made.manifest.teacher == "scripted"
    assert made.manifest.dropped["row: its prompt was asked before"] >= 11


def test_single_calls_that_fail_are_counted() -> None:
    made = built(notes(), config=TAUGHT, teacher=FailingChat("Say how it fits today.", every=3))

    assert made.manifest.dropped["teacher: call failed"] == 4


def test_a_teacher_that_is_down_ends_it_in_one_line() -> None:
    with pytest.raises(
        BackendUnavailable,
        match=r"'scripted' failed 8 times in a row \(.*does not answer.*teacher\.calls=0",
    ):
        built(notes(), config=TAUGHT, teacher=FailingChat("", every=1))


def test_a_model_that_only_quotes_is_not_asked() -> None:
    assert built(notes(), config=TAUGHT, teacher=QuotingChat()).manifest.teacher == ""
