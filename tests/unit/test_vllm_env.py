"""What `make vllm-env` looks at before it fetches gigabytes."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import vllm_env


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def driver(folder: Path, says: str, *, code: int = 0) -> None:
    folder.mkdir()
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    (folder / "nvidia-smi").chmod(0o755)


@pytest.mark.parametrize(
    ("says", "code", "there"),
    [("GPU 0: NVIDIA L4", 0, True), ("No devices were found", 0, False), ("GPU 0: dead", 9, False)],
)
def test_a_gpu_is_one_that_the_driver_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, code: int, there: bool
) -> None:
    driver(tmp_path / "bin", says, code=code)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert vllm_env.has_cuda() is there


@pytest.mark.usefixtures("no_gpu")
def test_what_is_there_is_not_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / vllm_env.DONE).write_text(vllm_env.CPU)
    vllm_env.main(tmp_path)
    assert capsys.readouterr().err == f"{tmp_path} holds {vllm_env.CPU} already\n"


@pytest.mark.usefixtures("no_gpu")
def test_too_little_space_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2e9))
    with pytest.raises(vllm_env.Failed, match=r"takes 5 GB and 2\.0 GB are free"):
        vllm_env.main(tmp_path / "env")
    assert not (tmp_path / "env").exists()


def test_a_command_that_fails_is_its_last_line() -> None:
    with pytest.raises(vllm_env.Failed, match=r"^sh failed: the end$"):
        vllm_env.run("sh", "-c", "echo begin >&2; echo the end >&2; exit 3")


def test_the_build_for_cpus_gets_the_name_that_its_command_asks_for(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    vllm_env.name_it_vllm(tmp_path)
    (info,) = site.iterdir()
    assert info.name == "vllm-0.32.0+cpu.dist-info"
    assert "Name: vllm\nVersion: 0.32.0+cpu\n" in (info / "METADATA").read_text()
