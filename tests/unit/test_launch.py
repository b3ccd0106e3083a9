from pathlib import Path

import pytest

from llm_engineering.application.crawl import CrawlConfig
from llm_engineering.application.datasets.config import DatasetsConfig
from llm_engineering.application.features import FeaturesConfig
from llm_engineering.domain.documents import Author
from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.sources import FilesConfig
from pipelines import zenml_home
from pipelines.configs import EndToEndConfig, TrainingPipelineConfig
from pipelines.launch import anew, pipeline_name

CRAWL = CrawlConfig(author=Author(name="Ada"), sources=(FilesConfig(kind="files", path=Path("x")),))
BOTH = EndToEndConfig(etl=CRAWL)


def test_every_config_names_its_pipeline() -> None:
    rest = (FeaturesConfig(), BOTH, DatasetsConfig(), TrainingPipelineConfig())
    named = [pipeline_name(config) for config in (CRAWL, *rest)]

    assert named == ["etl", "features", "end_to_end", "datasets", "training"]


def test_anew_refetches_and_rebuilds_and_changes_nothing_else() -> None:
    fresh = anew(BOTH, request="monday")

    assert fresh == EndToEndConfig(
        etl=CRAWL.model_copy(update={"refetch": True}), features=FeaturesConfig(rebuild=True)
    )
    assert not BOTH.etl.refetch


def test_anew_trains_every_job_once_more_under_one_name() -> None:
    config = TrainingPipelineConfig()

    fresh = anew(config, request="monday")

    assert isinstance(fresh, TrainingPipelineConfig)
    assert fresh.training == config.training.model_copy(update={"anew": "monday"})
    assert fresh.datasets == config.datasets


def test_zenml_is_told_to_stay_in_its_home_and_silent(tmp_path: Path) -> None:
    told = zenml_home.client_environment(tmp_path / "twin")

    assert told["ZENML_CONFIG_PATH"] == str(tmp_path / "twin" / "zenml")
    assert told["ZENML_ANALYTICS_OPT_IN"] == "false"


def test_the_server_shares_the_store_and_lets_no_other_site_in(tmp_path: Path) -> None:
    url = "http://127.0.0.1:8237"

    told = zenml_home.server_environment(tmp_path, url=url)

    assert told["ZENML_LOCAL_STORES_PATH"] == str(tmp_path / "zenml" / "local_stores")
    assert told["ZENML_SERVER_CORS_ALLOW_ORIGINS"] == url
    for rule in told["ZENML_SERVER_SECURE_HEADERS_CSP"].split("; "):
        _, *sources = rule.split()
        # ZenML strips quotation marks off both ends.
        assert sources[0] == url
        assert not sources[-1].endswith("'")
        assert {source for source in sources if source.startswith("http")} == {url}


def test_a_relative_home_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert zenml_home.zenml_home(Path(".twin")) == tmp_path / ".twin" / "zenml"


def test_a_home_that_cannot_be_written_is_named_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(BackendUnavailable, match=r"file.*Not a directory; set TWIN_HOME"),
        zenml_home.first_use(tmp_path / "file"),
    ):
        pass
