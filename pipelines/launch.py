"""Run a pipeline and gather what it reported, also when it failed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

from llm_engineering.application.crawl import CrawlConfig
from llm_engineering.application.datasets.config import DatasetsConfig
from llm_engineering.application.features import FeaturesConfig
from llm_engineering.application.report_page import Report, report_page
from llm_engineering.domain.errors import TwinError
from pipelines.at_work import at_work
from pipelines.configs import EndToEndConfig, PipelineConfig, TrainingPipelineConfig
from pipelines.zenml_home import open_zenml


@dataclass(frozen=True)
class Run:
    """One run of a pipeline as its caller needs it."""

    name: str
    """Of the run, in the dashboard."""
    reports: tuple[Report, ...]
    page: Path
    """HTML page over the reports."""
    error: TwinError | None
    """Why a step failed; None when the run completed."""


def launch(
    config: PipelineConfig,
    *,
    home: Path,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Run:
    """Run the pipeline that `config` is for, through ZenML at `home`.

    A step that raises a TwinError makes a failed Run; any other exception is raised as it is.
    """
    open_zenml(home)
    started = clock()
    pipeline = pipeline_name(config)
    name = f"{pipeline}-{started:%Y%m%d-%H%M%S-%f}"
    with at_work(home):
        error = _run(config, name)
    reports = _reports(name)
    page = report_page(reports, title=pipeline, run=name, at=started, error=error)
    return Run(name=name, reports=reports, page=_save(page, name, home / "reports"), error=error)


def pipeline_name(config: PipelineConfig) -> str:
    match config:
        case CrawlConfig():
            return "etl"
        case FeaturesConfig():
            return "features"
        case EndToEndConfig():
            return "end_to_end"
        case DatasetsConfig():
            return "datasets"
        case TrainingPipelineConfig():
            return "training"
        case unreachable:
            assert_never(unreachable)


def anew(config: PipelineConfig, *, request: str) -> PipelineConfig:
    """The same config, nothing taken from earlier runs: all refetched, rebuilt and trained anew.

    `request` names this wish: jobs that were run for it before are not run again for it. Sample
    sets are made from scratch every time, from the answers that a teacher has given already: those
    were paid for, and it is asked with temperature 0.
    """
    match config:
        case CrawlConfig():
            return config.model_copy(update={"refetch": True})
        case FeaturesConfig():
            return config.model_copy(update={"rebuild": True})
        case DatasetsConfig():
            return config
        case TrainingPipelineConfig():
            training = config.training.model_copy(update={"anew": request})
            return config.model_copy(update={"training": training})
        case EndToEndConfig():
            return config.model_copy(
                update={
                    "etl": anew(config.etl, request=request),
                    "features": anew(config.features, request=request),
                }
            )
        case unreachable:
            assert_never(unreachable)


def _run(config: PipelineConfig, name: str) -> TwinError | None:
    from pipelines.datasets import datasets
    from pipelines.end_to_end import end_to_end
    from pipelines.etl import etl
    from pipelines.features import features

    try:
        match config:
            case CrawlConfig():
                etl.with_options(run_name=name)(config)
            case FeaturesConfig():
                features.with_options(run_name=name)(config)
            case EndToEndConfig():
                end_to_end.with_options(run_name=name)(config)
            case DatasetsConfig():
                datasets.with_options(run_name=name)(config)
            case TrainingPipelineConfig():
                from pipelines.training import training

                training.with_options(run_name=name)(config)
            case unreachable:
                assert_never(unreachable)
    except Exception as raised:
        found = _own_error(raised)
        if found is None:
            raise
        return found
    return None


def _own_error(raised: BaseException | None) -> TwinError | None:
    """The TwinError in a chain of exceptions."""
    while raised is not None and not isinstance(raised, TwinError):
        raised = raised.__cause__ or raised.__context__
    return raised


def _reports(run_name: str) -> tuple[Report, ...]:
    from zenml.client import Client

    from steps.reporting import furthest

    steps = Client().get_pipeline_run(run_name).steps.values()
    outputs = {name: found[0] for step in steps for name, found in step.outputs.items()}
    return tuple(outputs[name].load() for name in furthest(outputs))


def _save(page: str, name: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.html"
    path.write_text(page, encoding="utf-8")
    latest = folder / f".{name}"
    latest.write_text(page, encoding="utf-8")
    latest.replace(folder / "latest.html")
    return path
