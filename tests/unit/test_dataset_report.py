"""The dataset card and the section of the report page."""

import re

import pytest
import yaml

from llm_engineering.application.datasets.card import dataset_card
from llm_engineering.application.datasets.report import asked, dataset_report
from llm_engineering.application.report_page import report_numbers, report_page
from llm_engineering.domain.samples import SampleSet
from tests.unit.corpus import NOW, built, full_set, note
from tests.unit.test_report_page import Elements


@pytest.fixture(scope="module")
def samples() -> SampleSet:
    return full_set()


def card(samples: SampleSet, suffix: str = "jsonl") -> str:
    return dataset_card(dataset_report(samples), samples.manifest, suffix=suffix)


def page(samples: SampleSet) -> str:
    report = dataset_report(samples, seconds=1.5)
    return report_page([report], title="datasets", run="datasets-1", at=NOW)


def test_the_report_counts_what_the_set_holds(samples: SampleSet) -> None:
    report = dataset_report(samples)

    assert sum(report.forms.values()) == len(samples.instruct) == len(report.characters)
    assert report.sources == {"files:notes": len(samples.instruct)}
    assert sum(report.by_month.values()) == len(samples.instruct)
    assert report.rejected.keys() == {"other_author", "served"}
    assert report.leaks == 0
    assert 0 < report.code_share < 0.4
    assert {example.kind for example in report.examples} >= {"title", "opening", "question"}


def test_the_numbers_of_a_run_can_be_compared(samples: SampleSet) -> None:
    numbers = report_numbers(dataset_report(samples))

    assert (
        numbers["instruct"]
        == numbers["instruct_train"] + numbers["instruct_validation"] + numbers["instruct_test"]
    )
    assert numbers["documents"] == 40


def test_the_card_names_its_files_as_the_hub_reads_them(samples: SampleSet) -> None:
    head = yaml.safe_load(card(samples, "parquet").split("---\n")[1])

    assert [config["config_name"] for config in head["configs"]] == [
        "instruct",
        "preference",
        "rated",
    ]
    assert head["configs"][0]["data_files"][0] == {
        "split": "train",
        "path": "instruct.train.parquet",
    }


def test_the_card_says_where_the_words_are_from_and_what_was_left_out(samples: SampleSet) -> None:
    text = card(samples)

    assert "exact span of a document by Ada Lovelace" in text
    assert samples.manifest.version in text
    assert re.search(r"\| train \| 32 \| \d+ \| \d+ \| \d+ \| 2020-01-01 to 2020-08-05 \|", text)
    assert "Split by document and date" in text
    assert "0 leaks" in text
    assert "block: other people's words" in text
    assert "ask before publishing" in text


def test_a_target_cannot_break_out_of_the_card(samples: SampleSet) -> None:
    first, *rest = samples.instruct
    odd = first.model_copy(update={"completion": "Words.\n\n## Not a heading\n\n```\n"})
    changed = samples.model_copy(update={"instruct": (odd, *rest), "preference": ()})

    assert "\n## Not a heading" not in card(changed)


def test_the_page_is_well_formed_and_escapes_what_was_written(samples: SampleSet) -> None:
    first, *rest = samples.instruct
    odd = first.model_copy(update={"id": "0", "completion": "<script>alert(1)</script>"})
    html = page(samples.model_copy(update={"instruct": (odd, *rest)}))

    elements = Elements()
    elements.feed(html)
    assert elements.open == []
    assert "script" not in elements.names
    assert "&lt;script&gt;" in html
    assert elements.addresses == []


def test_the_page_says_how_it_was_split(samples: SampleSet) -> None:
    undated = built([note(number, published=None) for number in range(120)])

    assert "the past is trained on, the latest tested on" in page(samples)
    assert "a hash, because the documents" in page(undated)
    assert "of documents without a date" not in page(samples)


def test_an_example_shows_the_request_without_the_persona(samples: SampleSet) -> None:
    assert "writing twin" not in asked(samples.instruct[0].prompt)
    assert "writing twin" not in page(samples)
