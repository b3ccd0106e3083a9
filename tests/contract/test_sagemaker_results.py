"""What comes back from SageMaker is unpacked with care: whole or not at all, and nowhere else."""

import io
import tarfile
from pathlib import Path

import pytest

from llm_engineering.domain.errors import BackendUnavailable, InvalidInput
from llm_engineering.infrastructure.aws import Aws
from llm_engineering.infrastructure.sagemaker_jobs import SageMakerJobRunner
from tests.contract.job_runners import job_folder, place
from tests.contract.sagemaker_server import BUCKET, Clients


@pytest.fixture
def runner(moto: Clients, moto_aws: Aws) -> SageMakerJobRunner:
    return SageMakerJobRunner(place(), aws=moto_aws)


def submit(runner: SageMakerJobRunner, tmp_path: Path) -> str:
    return runner.submit(job_folder(tmp_path / "job"), name="SFT")


def put_model(moto: Clients, run: str, *members: tarfile.TarInfo | str) -> None:
    """A model.tar.gz as if the container had left it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            content = b"{}" if info.isfile() else b""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    put_bytes(moto, run, packed.getvalue())


def put_bytes(moto: Clients, run: str, content: bytes) -> None:
    key = f"llm-twin/runs/{run}/output/{run}-1/output/model.tar.gz"
    moto.s3.put_object(Bucket=BUCKET, Key=key, Body=content)


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


@pytest.mark.parametrize(
    "evil",
    [
        "../evil",
        "a/../../evil",
        link("evil", "/etc/passwd"),
        link("evil", ".."),
        link("evil", "result.json"),
        link("evil", "/etc/passwd", tarfile.LNKTYPE),
        link("evil", "", tarfile.CHRTYPE),
        link("evil", "", tarfile.FIFOTYPE),
    ],
)
def test_an_archive_that_reaches_out_is_refused_and_nothing_is_left(
    runner: SageMakerJobRunner, moto: Clients, tmp_path: Path, evil: tarfile.TarInfo | str
) -> None:
    run = submit(runner, tmp_path)
    put_model(moto, run, "result.json", evil)
    with pytest.raises(BackendUnavailable, match="cannot unpack") as error:
        runner.fetch(run, tmp_path / "new" / "output")
    assert "\n" not in str(error.value)
    assert list((tmp_path / "new").iterdir()) == []
    assert not list(tmp_path.rglob("evil"))


def test_an_absolute_path_is_unpacked_below_the_folder(
    runner: SageMakerJobRunner, moto: Clients, tmp_path: Path
) -> None:
    run = submit(runner, tmp_path)
    put_model(moto, run, "./result.json", str(tmp_path / "evil"))
    into = runner.fetch(run, tmp_path / "new")
    assert not (tmp_path / "evil").exists()
    assert (into / "result.json").read_text() == "{}"


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00cut short"])
def test_a_damaged_archive_is_one_line(
    runner: SageMakerJobRunner, moto: Clients, tmp_path: Path, content: bytes
) -> None:
    run = submit(runner, tmp_path)
    put_bytes(moto, run, content)
    with pytest.raises(BackendUnavailable, match="cannot unpack"):
        runner.fetch(run, tmp_path / "output")
    assert not (tmp_path / "output").exists()


def test_an_output_that_is_gone_or_holds_no_result_is_one_line(
    runner: SageMakerJobRunner, moto: Clients, tmp_path: Path
) -> None:
    run = submit(runner, tmp_path)
    with pytest.raises(InvalidInput, match=r"model\.tar\.gz"):
        runner.fetch(run, tmp_path / "output")
    put_model(moto, run, "adapter/adapter_config.json")
    with pytest.raises(BackendUnavailable, match=r"holds no result\.json"):
        runner.fetch(run, tmp_path / "output")
    assert not (tmp_path / "output").exists()
