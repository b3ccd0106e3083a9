"""`twin dataset`: look at sample sets, carry them elsewhere."""

from pathlib import Path

import click

from llm_engineering.application.datasets.card import dataset_card
from llm_engineering.application.datasets.report import dataset_report
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.errors import NotFound
from llm_engineering.domain.samples import SampleSet, SampleSetManifest
from llm_engineering.ports.stores import SampleStore
from tools.dataset_files import Form, push_set, write_set
from tools.output import (
    Column,
    note,
    write_json,
    write_table,
    write_verbatim,
)

_LATEST = "latest"
_COLUMNS = tuple(
    map(Column, ("version", "made", "author", "documents", "instruct", "preference", "rated"))
)


@click.group()
def dataset() -> None:
    """List, show, export and publish sets of training samples."""


@dataset.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array of manifests.")
def list_sets(as_json: bool) -> None:
    """List sample sets, newest first."""
    with open_app() as app:
        manifests = app.samples.manifests()
    if as_json:
        write_json(manifests)
        return
    if not manifests:
        note("no sample sets; make one with 'twin run datasets'")
        return
    write_table(_COLUMNS, [_cells(manifest) for manifest in manifests])


@dataset.command("show")
@click.argument("version", default=_LATEST)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as one JSON object.")
def show(version: str, as_json: bool) -> None:
    """Print the card of a sample set: counts, sources, lengths, what was left out, examples.

    VERSION may be any unique beginning of a version; the newest one by default.
    """
    samples = _opened(version)
    report = dataset_report(samples)
    if as_json:
        write_json(report)
        return
    write_verbatim(dataset_card(report, samples.manifest, suffix="jsonl"))


@dataset.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("version", default=_LATEST)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "parquet"]),
    default="jsonl",
    show_default=True,
    help="Of the files.",
)
def export(folder: Path, version: str, form: Form) -> None:
    """Write a sample set into the new FOLDER: one file per kind and split, and its card."""
    samples = _opened(version)
    write_set(samples, folder, form=form)
    note(f"wrote sample set {samples.manifest.version} to {folder}")


@dataset.command("push")
@click.argument("repository", metavar="OWNER/NAME")
@click.argument("version", default=_LATEST)
@click.option("--public", is_flag=True, help="Let everybody read it. [default: private]")
def push(repository: str, version: str, public: bool) -> None:
    """Publish a sample set on the Hugging Face hub as a dataset repository, private by default.

    The token is read from HF_TOKEN.
    """
    samples = _opened(version)
    url = push_set(samples, repository, private=not public)
    note(f"pushed sample set {samples.manifest.version} to {url}")


def _opened(version: str) -> SampleSet:
    with open_app() as app:
        return app.samples.get(_full_version(app.samples, version))


def _full_version(store: SampleStore, prefix: str) -> str:
    """The version that starts with `prefix`; one that none does is given back as it is."""
    manifests = store.manifests()
    if prefix == _LATEST:
        if not manifests:
            raise NotFound("no sample sets; make one with 'twin run datasets'")
        return manifests[0].version
    found = [each.version for each in manifests if prefix and each.version.startswith(prefix)]
    return found[0] if len(found) == 1 else prefix


def _cells(manifest: SampleSetManifest) -> list[str]:
    counts = manifest.splits.values()
    totals = (
        sum(getattr(each, name) for each in counts)
        for name in ("documents", "instruct", "preference", "rated")
    )
    made = manifest.created_at.isoformat(timespec="seconds")
    return [manifest.version, made, " and ".join(manifest.authors), *map(str, totals)]
