"""`twin model`: the versions that were trained, and which of them answers."""

from importlib.util import find_spec
from pathlib import Path

import click

from llm_engineering.application.comparison import compare, compared
from llm_engineering.application.figures import measured
from llm_engineering.application.promotion import behind, bring_back, promote, shortcomings
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.models import (
    Comparison,
    ModelEntry,
    ModelManifest,
    ModelStage,
    ProductionManifest,
)
from llm_engineering.domain.samples import Split
from llm_engineering.ports.jobs import ModelRegistry
from pipelines.zenml_home import open_zenml
from tools.model_export import Export, Format, Weights, export_model
from tools.output import Column, note, write_json, write_rows, write_table

_COLUMNS = (
    Column("version"),
    Column("stage"),
    Column("created"),
    Column("base"),
    Column("dataset"),
    Column("test loss"),
    Column("margin"),
    Column("notes", wide=True),
)
_SHORT = 12
"""Characters of a data set's version in a table."""


@click.group()
def model() -> None:
    """List, show, promote and export trained versions."""


@model.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_models(as_json: bool) -> None:
    """List versions, newest first."""
    with open_app() as app:
        entries = app.models.entries()
    if as_json:
        write_json(entries)
        return
    if not entries:
        note("no versions; train one with 'twin run training'")
        return
    write_table(_COLUMNS, [_cells(entry) for entry in entries], styles={"production": "green"})


@model.command("show")
@click.argument("version", metavar="VERSION")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_model(version: str, as_json: bool) -> None:
    """Say what VERSION was made from, what was measured, and what keeps it from production."""
    with open_app() as app:
        entry = app.models.get(version)
        missing = shortcomings(entry.manifest, registry=app.models)
        beside = _beside(entry, app.models)
    if beside is not None and entry.stage is ModelStage.CANDIDATE:
        missing += behind(beside)
    if as_json:
        write_json({**entry.model_dump(), "comparison": beside, "shortcomings": missing})
        return
    write_rows(_facts(entry, beside, missing))


@model.command("promote")
@click.argument("version", metavar="VERSION")
@click.option(
    "--uncompared",
    is_flag=True,
    help="Also in the place of a version whose test loss cannot be compared with its own, because "
    "it is of another base or other rows: on your word instead of a measurement.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the production manifest as JSON.")
def promote_model(version: str, uncompared: bool, as_json: bool) -> None:
    """Put VERSION into production, if its test loss allows that.

    It has to be lower than that of what it started from, and than that of the version in
    production on the same rows. A version that was in production before comes back without that.
    """
    with open_app() as app:
        before = app.models.production()
        archived = app.models.get(version).stage is ModelStage.ARCHIVED
        put = bring_back if archived else promote
        promoted = put(version, registry=app.models, uncompared=uncompared)
        if as_json:
            write_json(promoted)
        elif promoted == before:
            since = f"{promoted.promoted_at:%Y-%m-%d %H:%M}"
            click.echo(f"{version} is in production already, since {since}: {promoted.reason}")
        else:
            _tell_promoted(promoted, back=archived)
        _show_in_zenml(app.models, app.home)


@model.command("export")
@click.argument("version", metavar="VERSION")
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["adapter", "merged", "openvino", "gguf"]),
    default="adapter",
    show_default=True,
    help="LoRA weights, one whole model, or that for OpenVINO or llama.cpp.",
)
@click.option(
    "--weights",
    type=click.Choice(["f16", "int8"]),
    default="int8",
    show_default=True,
    help="Precision of openvino and gguf.",
)
@click.option("--base", help="Folder or hub id of its base, when that has moved.")
@click.option("--tool", help="Command of the converter, e.g. ENV/bin/optimum-cli.")
def export_version(
    version: str, output: Path, form: Format, weights: Weights, base: str | None, tool: str | None
) -> None:
    """Write VERSION to OUTPUT: a folder, or a file for gguf.

    openvino and gguf need a converter in an environment of its own, see
    docs/how-to/export-a-model.md.
    """
    with open_app() as app:
        manifest = app.models.get(version).manifest
        adapter = app.models.adapter(version)
        base = base or base_of(manifest, home=app.home)
    if manifest.tainted:
        note(f"{version} is tainted: {manifest.tainted}")
    wanted = Export(form=form, base=base, adapter=adapter, weights=weights, tool=tool)
    export_model(wanted, output)
    click.echo(f"wrote {version} to {output}")


def base_of(manifest: ModelManifest, *, home: Path) -> str:
    """Where its base is loaded from: a nano is a folder below the twin's home."""
    kept = home / manifest.base
    return str(kept) if kept.is_dir() else manifest.base


def _tell_promoted(promoted: ProductionManifest, *, back: bool) -> None:
    instead = f" instead of {promoted.previous}" if promoted.previous else ""
    again = "back in production" if back else "in production"
    click.echo(f"{promoted.manifest.version} is {again}{instead}: {promoted.reason}")
    if promoted.previous:
        note(f"'twin model promote {promoted.previous}' brings {promoted.previous} back")


def _beside(entry: ModelEntry, registry: ModelRegistry) -> Comparison | None:
    """With the version in production; None when there is no other one."""
    current = registry.production()
    if current is None or current.manifest.version == entry.manifest.version:
        return None
    return compare(entry.manifest, production=current.manifest, registry=registry)


def _show_in_zenml(registry: ModelRegistry, home: Path) -> None:
    """A copy for ZenML's dashboard, where ZenML is installed: the registry needs none."""
    if find_spec("zenml") is None:
        return
    open_zenml(home)
    from steps.model_control_plane import mirror_registry

    mirror_registry(registry)


def _cells(entry: ModelEntry) -> list[str]:
    manifest = entry.manifest
    after = manifest.result.after.get(Split.TEST)
    before = manifest.result.before.get(Split.TEST)
    margin = after.reward_margin if after else None
    return [
        manifest.version,
        entry.stage,
        manifest.created_at.strftime("%Y-%m-%d %H:%M"),
        manifest.base,
        manifest.dataset[:_SHORT],
        f"{before.loss:.3f} -> {after.loss:.3f}" if before and after else "not measured",
        "" if margin is None else f"{margin:+.3f}",
        _notes(manifest),
    ]


def _notes(manifest: ModelManifest) -> str:
    tainted = f"tainted: {manifest.tainted}" if manifest.tainted else ""
    return "; ".join(filter(None, ("nano: no prose" if manifest.nano else "", tainted)))


def _facts(
    entry: ModelEntry, beside: Comparison | None, missing: tuple[str, ...]
) -> list[tuple[str, str]]:
    manifest, result = entry.manifest, entry.manifest.result
    device = result.device
    facts = [
        ("version", manifest.version),
        ("stage", entry.stage),
        ("created", manifest.created_at.isoformat(timespec="seconds")),
        ("author", manifest.author),
        ("base", manifest.base + (" (proves the pipeline, not the prose)" * manifest.nano)),
        ("starts from", manifest.parent or ""),
        ("dataset", manifest.dataset),
        ("documents", str(len(manifest.document_ids))),
        ("measured", measured(manifest)),
        ("production", compared(beside) if beside else ""),
        ("trained", f"{result.seconds:.0f} s on {device.name} in {device.precision}"),
        ("stopped early", result.stopped_early),
        ("adapter sha256", manifest.adapter_sha256),
        ("git commit", manifest.git_commit),
        ("tainted", manifest.tainted),
        ("not promotable", "; ".join(missing)),
    ]
    return [(name, value) for name, value in facts if value]
