"""The dataset card: what is in a set, where it is from, what to know before using it (Markdown).

The front matter is what the Hugging Face hub reads (Gebru et al., "Datasheets for Datasets", 2018,
says what belongs on a card).
"""

from collections.abc import Iterator, Mapping

import yaml

from llm_engineering.application.report_charts import spread
from llm_engineering.application.report_dataset import dates, split_sentence
from llm_engineering.domain.reports import DatasetReport, SampleExample
from llm_engineering.domain.samples import SampleSetManifest, Split

KINDS = ("instruct", "preference", "rated")

_INTRODUCTION = (
    "Every target (`completion`, `chosen`) is an exact span of a document by {author}: characters "
    "`start` to `end` of its text as {cleaning} cleans it, in the revision that `content_hash` "
    "names. {asked} A `chosen` without a document is a correction that the author made by hand."
)
_CAUTION = (
    "The words are {author}'s own and may be personal or under a licence of their own: ask before "
    "publishing this set, or a model trained on it."
)


def dataset_card(report: DatasetReport, manifest: SampleSetManifest, *, suffix: str) -> str:
    """The card of a set whose files end in `suffix` (`jsonl`, `parquet`)."""
    return "\n\n".join(_parts(report, manifest, suffix)) + "\n"


def _parts(report: DatasetReport, manifest: SampleSetManifest, suffix: str) -> Iterator[str]:
    yield _front_matter(manifest, suffix)
    yield f"# Writing samples of {report.author}"
    asked = (
        f"Instructions were written by {report.teacher} or taken from the documents' structure."
        if report.teacher
        else "Instructions were taken from the documents' own structure; no model wrote any."
    )
    yield _INTRODUCTION.format(author=report.author, cleaning=manifest.cleaning, asked=asked)
    yield f"Version `{report.version}`, made on {manifest.created_at:%Y-%m-%d}."
    yield "## What it holds"
    yield _table(
        ("split", "documents", *KINDS, "dates"),
        [
            (
                split.value,
                *(f"{getattr(counts, name):,}" for name in ("documents", *KINDS)),
                dates(counts),
            )
            for split, counts in report.splits.items()
        ],
    )
    yield f"{split_sentence(report)}."
    yield f"Targets: {spread(report.characters, unit='characters')}; {report.code_share:.0%} code."
    for heading, counts in (
        ("Rows by prompt", report.forms),
        ("Pairs by their rejected side", report.rejected),
        ("Rows by source", report.sources),
        ("Left out", report.dropped),
    ):
        if counts:
            yield f"## {heading}"
            yield _table(("what", "how many"), [(k, f"{v:,}") for k, v in counts.items()])
    yield "## Examples"
    yield from map(_example, report.examples)
    yield "## Before you use it"
    yield _CAUTION.format(author=report.author)


def _front_matter(manifest: SampleSetManifest, suffix: str) -> str:
    """Names the configurations and files for `datasets.load_dataset`."""
    configs = [
        {
            "config_name": kind,
            "data_files": [
                {"split": split.value, "path": f"{kind}.{split.value}.{suffix}"}
                for split in Split
                if split in manifest.splits and getattr(manifest.splits[split], kind)
            ],
        }
        for kind in KINDS
        if any(getattr(counts, kind) for counts in manifest.splits.values())
    ]
    head = {"pretty_name": "Writing samples", "tags": ["llm-twin", "trl"], "configs": configs}
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = (heads, ("---",) * len(heads), *rows)
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in lines)


def _example(example: SampleExample) -> str:
    parts: Mapping[str, str] = {
        "asked": example.prompt,
        "the author": example.completion,
        "rejected": example.rejected,
    }
    shown = "\n\n".join(f"{name}:\n\n{_quoted(text)}" for name, text in parts.items() if text)
    return f"**{example.kind}** ({example.source})\n\n{shown}"


def _quoted(text: str) -> str:
    """A block quote: what a target holds of Markdown stays inside."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
