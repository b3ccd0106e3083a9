"""What a sample set holds, for people: numbers and examples."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from llm_engineering.application.datasets.leaks import leaks
from llm_engineering.application.markdown import code_spans
from llm_engineering.domain.chat import Message, Role
from llm_engineering.domain.reports import DatasetReport, SampleExample
from llm_engineering.domain.samples import (
    InstructSample,
    PreferenceSample,
    SampleSet,
    TargetSpan,
)

_SHOWN_CHARACTERS = 1_200


def dataset_report(samples: SampleSet, *, seconds: float = 0.0) -> DatasetReport:
    """The report of a set; `seconds` is how long it took to make."""
    manifest = samples.manifest
    texts = [sample.completion for sample in samples.instruct]
    code = sum(end - start for text in texts for start, end in code_spans(text))
    characters = tuple(map(len, texts))
    bound = manifest.config.get("split", {})
    assert isinstance(bound, dict)
    return DatasetReport(
        version=manifest.version,
        author=" and ".join(manifest.authors),
        teacher=manifest.teacher,
        split_by=manifest.split_by,
        splits=manifest.splits,
        forms=_counted(sample.form.value for sample in samples.instruct),
        rejected=_counted(sample.rejected_by.value for sample in samples.preference),
        sources=_counted(sample.target.document.source for sample in samples.instruct),
        by_month=_counted(_month(sample.target) for sample in samples.instruct),
        dropped=manifest.dropped,
        leak_share=manifest.leak_share,
        leaks=len(leaks(samples.instruct, max_overlap=bound.get("max_span_overlap", 0.0))),
        characters=characters,
        code_share=code / max(sum(characters), 1),
        examples=(*_instruct_examples(samples.instruct), *_pair_examples(samples.preference)),
        seconds=seconds,
    )


def asked(prompt: Sequence[Message]) -> str:
    """A prompt without the persona."""
    return "\n\n".join(each.content for each in prompt if each.role is not Role.SYSTEM)


def _counted(names: Iterator[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _month(target: TargetSpan) -> str:
    at = target.document.published_at
    return f"{at:%Y-%m}" if at else "undated"


def _instruct_examples(samples: Sequence[InstructSample]) -> Iterator[SampleExample]:
    """One of each form: the one whose id, which is a hash, comes first."""
    for form, found in groupby(
        sorted(samples, key=lambda each: (each.form, each.id)), key=lambda each: each.form
    ):
        sample = next(found)
        yield SampleExample(
            kind=form.value,
            split=sample.split,
            prompt=asked(sample.prompt),
            completion=_shown(sample.completion),
            source=_where(sample.target),
            url=sample.target.document.url,
        )


def _pair_examples(samples: Sequence[PreferenceSample]) -> Iterator[SampleExample]:
    """One of each kind of rejected side."""
    for by, found in groupby(
        sorted(samples, key=lambda each: (each.rejected_by, each.id)),
        key=lambda each: each.rejected_by,
    ):
        sample = next(found)
        yield SampleExample(
            kind=f"pair, rejected: {by.value}",
            split=sample.split,
            prompt=_shown(asked(sample.prompt)),
            completion=_shown(sample.chosen),
            rejected=_shown(sample.rejected),
            source=_where(sample.target) if sample.target else "corrected by hand",
            url=sample.target.document.url if sample.target else "",
        )


def _where(target: TargetSpan) -> str:
    at = target.document.published_at
    date = f", {at:%Y-%m-%d}" if at else ""
    return f"{target.document.title}{date}, characters {target.start:,} to {target.end:,}"


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]} […]"
