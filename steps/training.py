"""Steps of the training pipeline: each adds to the report of the one before."""

import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from zenml import step
from zenml.types import HTMLString

from llm_engineering.application.promotion import decided
from llm_engineering.application.training.config import TrainingConfig
from llm_engineering.application.training.follow import POLL_S, REMOTE_POLL_S
from llm_engineering.application.training.run import TrainingPorts
from llm_engineering.application.training.train import (
    Workshop,
    base_of,
    fine_tune,
    prefer,
)
from llm_engineering.bootstrap import App, open_app
from llm_engineering.domain.reports import DatasetReport, TrainingReport
from llm_engineering.settings import SageMakerJobsSettings
from steps.git_commit import git_commit
from steps.model_control_plane import mirror_registry
from steps.reporting import page_of

logger = logging.getLogger(__name__)


@step(enable_cache=False)  # a job that was done before is not done again
def fine_tune_twin(
    config: TrainingConfig, dataset: DatasetReport
) -> Annotated[TrainingReport, "fine_tuning_report"]:
    """SFT on the author's own words; registers a version."""
    with open_app() as app:
        samples, workshop = app.samples.get(dataset.version), workshop_of(app)
        started = time.monotonic()
        base = base_of(config, samples, workshop=workshop)
        ready = time.monotonic()
        version = fine_tune(config, samples, base=base, workshop=workshop)
        return TrainingReport(
            dataset=dataset.version,
            base=base.recorded,
            versions=(version,),
            seconds={"base": ready - started, "fine-tune": time.monotonic() - ready},
        )


@step(enable_cache=False)
def prefer_own_words(
    config: TrainingConfig, report: TrainingReport
) -> Annotated[TrainingReport, "preference_report"]:
    """DPO of the version before, its own answers rejected; registers a version."""
    with open_app() as app:
        samples, workshop = app.samples.get(report.dataset), workshop_of(app)
        base = base_of(config, samples, workshop=workshop)
        started = time.monotonic()
        parent = report.versions[-1].version
        version = prefer(config, samples, parent=parent, base=base, workshop=workshop)
        took = {"prefer": time.monotonic() - started}
        return report.model_copy(
            update={"versions": (*report.versions, version), "seconds": report.seconds | took}
        )


@step(enable_cache=False)
def decide(
    config: TrainingConfig, report: TrainingReport
) -> tuple[Annotated[TrainingReport, "training_report"], Annotated[HTMLString, "training_page"]]:
    """Promote the newest version whose figures allow it, if the config asks for it."""
    with open_app() as app:
        report = decided(report, wanted=config.promote, registry=app.models)
        if config.promote and not report.promoted:
            logger.warning("not promoted: %s", report.why)
        mirror_registry(app.models)
    return report, page_of(report)


def workshop_of(app: App) -> Workshop:
    """What training takes, from the app's ports."""
    ports = TrainingPorts(
        runner=app.jobs,
        folders=app.job_folders,
        experiments=app.experiments,
        progress=app.progress,
        say=logger.info,
        sleep=time.sleep,
        poll_s=REMOTE_POLL_S if isinstance(app.settings.jobs, SageMakerJobsSettings) else POLL_S,
    )
    return Workshop(
        ports=ports,
        registry=app.models,
        documents=app.documents,
        samples=app.samples,
        home=app.home,
        now=lambda: datetime.now(UTC),
        git_commit=git_commit(Path(__file__).parent),
    )
