"""Backends that more than one file of contract tests goes through."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_engineering.infrastructure.aws import Aws
from llm_engineering.ports.jobs import JobRunner
from llm_engineering.ports.stores import DocumentStore, VectorIndex
from tests.contract import document_stores, job_runners, sagemaker_server
from tests.contract.mongo_server import running_mongo
from tests.contract.vector_indexes import (
    Opener,
    edge_indexes,
    memory_index,
    qdrant_in_memory,
    qdrant_indexes,
    real_qdrant_url,
)


@pytest.fixture(params=("memory", "edge", "qdrant-memory", "qdrant-server"))
def open_index(
    request: pytest.FixtureRequest, tmp_path: Path, absent_backend: Callable[[str], None]
) -> Iterator[Opener]:
    match request.param:
        case "memory":
            yield memory_index()
        case "edge":
            with edge_indexes(tmp_path) as opener:
                yield opener
        case "qdrant-memory":
            with qdrant_in_memory() as opener:
                yield opener
        case _:
            url = real_qdrant_url()
            if url is None:
                absent_backend("TWIN_TEST_QDRANT_URL")
            else:
                with qdrant_indexes(url) as opener:
                    yield opener


@pytest.fixture
def index(open_index: Opener) -> VectorIndex:
    return open_index()


@pytest.fixture(scope="session")
def local_mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URI of a server that speaks MongoDB's protocol."""
    with running_mongo(tmp_path_factory.mktemp("mongo")) as uri:
        yield uri


@pytest.fixture(params=("memory", "sqlite", "mongo-protocol", "mongo-server"))
def open_store(
    request: pytest.FixtureRequest, tmp_path: Path, absent_backend: Callable[[str], None]
) -> Iterator[document_stores.Opener]:
    match request.param:
        case "memory":
            yield document_stores.memory_store()
        case "sqlite":
            with document_stores.sqlite_stores(tmp_path) as opener:
                yield opener
        case "mongo-protocol":
            with document_stores.mongo_stores(request.getfixturevalue("local_mongo")) as opener:
                yield opener
        case _:
            uri = document_stores.real_mongo_uri()
            if uri is None:
                absent_backend("TWIN_TEST_MONGO_URI")
            else:
                with document_stores.mongo_stores(uri) as opener:
                    yield opener


@pytest.fixture
def store(open_store: document_stores.Opener) -> DocumentStore:
    return open_store()


@pytest.fixture
def aws_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials for the AWS of the tests, and none of the machine's own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTWIN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def local_sagemaker() -> Iterator[sagemaker_server.Clients]:
    """An AWS that runs training jobs."""
    with sagemaker_server.running_sagemaker() as clients:
        yield clients


@pytest.fixture(scope="module")
def local_aws(local_sagemaker: sagemaker_server.Clients) -> Aws:
    """Its clients take half a second to make, so they are made once."""
    return Aws(sagemaker_server.REGION, local_sagemaker.url)


@pytest.fixture(scope="module")
def plain_moto() -> Iterator[sagemaker_server.Clients]:
    """moto as it is: a training job completes the moment it is made."""
    with sagemaker_server.moto_server() as clients:
        yield clients


@pytest.fixture(scope="module")
def moto_aws(plain_moto: sagemaker_server.Clients) -> Aws:
    return Aws(sagemaker_server.REGION, plain_moto.url)


@pytest.fixture
def moto(plain_moto: sagemaker_server.Clients, aws_keys: None) -> sagemaker_server.Clients:
    """An account of moto's in which a job can run, and nothing else in it."""
    sagemaker_server.set_up(plain_moto)
    return plain_moto


@pytest.fixture(params=("local", "sagemaker"))
def open_runner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[job_runners.Opener]:
    if request.param == "local":
        opener = job_runners.local_runners(tmp_path / "home" / "runs")
    else:
        request.getfixturevalue("aws_keys")  # before the clients, which read them once
        sagemaker_server.set_up(request.getfixturevalue("local_sagemaker"))
        opener = job_runners.sagemaker_runners(request.getfixturevalue("local_aws"))
    yield opener
    runner = opener()
    for run in runner.runs():  # of a test that failed half-way
        runner.stop(run)


@pytest.fixture
def runner(open_runner: job_runners.Opener) -> JobRunner:
    return open_runner()
