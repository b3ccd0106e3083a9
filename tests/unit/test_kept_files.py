"""The weights of jobs are read once, kept once, and safe from edits of where they came from."""

import os
import resource
import time
from pathlib import Path

import pytest

from llm_engineering.domain.errors import BackendUnavailable
from llm_engineering.domain.training import SftJob
from llm_engineering.infrastructure.job_tree import JobFolderTree
from llm_engineering.infrastructure.kept_files import KeptFiles, digest_of, link_or_copy

LARGE = 8 << 20


def settled() -> float:
    """A clock by which what is written now was written a while ago."""
    return time.time() + 60


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A snapshot as a hub's cache holds it: links into a folder of blobs two levels up."""
    model = tmp_path / "hub" / "models--some--model"
    (model / "blobs").mkdir(parents=True)
    snapshot = model / "snapshots" / "0a1b2c"
    snapshot.mkdir(parents=True)
    for name, content in (("model.safetensors", b"w" * LARGE), ("config.json", b"{}")):
        (model / "blobs" / f"{name}-hash").write_bytes(content)
        (snapshot / name).symlink_to(Path("../../blobs") / f"{name}-hash")
    return snapshot


def kept(tmp_path: Path) -> KeptFiles:
    return KeptFiles(tmp_path / "files", now=settled)


def bytes_read() -> int:
    """By this process, from files, since it began."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_what_a_hub_caches_links_point_to_is_in_the_job(tmp_path: Path, hub: Path) -> None:
    folder = JobFolderTree(tmp_path / "training").write(SftJob(base="base"), base=hub)

    weights = folder / "base" / "model.safetensors"
    assert not weights.is_symlink()
    assert weights.read_bytes() == b"w" * LARGE
    assert (folder / "base" / "config.json").read_bytes() == b"{}"


def test_a_base_of_links_is_the_same_job_as_one_of_files(tmp_path: Path, hub: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for file in hub.iterdir():
        (plain / file.name).write_bytes(file.read_bytes())
    folders = JobFolderTree(tmp_path / "training")

    assert folders.write(SftJob(base="base"), base=hub) == folders.write(
        SftJob(base="base"), base=plain
    )


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="Linux counts what is read")
def test_a_base_that_did_not_change_is_not_read_again(tmp_path: Path, hub: Path) -> None:
    first = kept(tmp_path).place(hub, tmp_path / "one")
    before = bytes_read()

    again = kept(tmp_path).place(hub, tmp_path / "two")

    assert bytes_read() - before < LARGE // 8
    assert sorted(again.values()) == sorted(first.values())
    assert digest_of(tmp_path / "one") == digest_of(tmp_path / "two")


def test_two_jobs_share_one_copy_on_the_disk(tmp_path: Path, hub: Path) -> None:
    for name in ("one", "two"):
        kept(tmp_path).place(hub, tmp_path / name)

    one, two = (tmp_path / name / "model.safetensors" for name in ("one", "two"))
    assert one.samefile(two)
    assert not one.samefile(hub / "model.safetensors")


def test_an_edit_in_place_changes_no_job_that_was_made_before(tmp_path: Path, hub: Path) -> None:
    weights = hub / "model.safetensors"
    kept(tmp_path).place(hub, tmp_path / "one")
    before = weights.stat()
    with weights.open("r+b") as file:
        file.write(b"v")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))  # as rsync and tar set it

    kept(tmp_path).place(hub, tmp_path / "two")

    assert (tmp_path / "one" / "model.safetensors").read_bytes()[:1] == b"w"
    assert (tmp_path / "two" / "model.safetensors").read_bytes()[:1] == b"v"


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path, hub: Path) -> None:
    files = KeptFiles(tmp_path / "files")
    files.place(hub, tmp_path / "one")

    assert (tmp_path / "files" / "seen.json").read_text() == "{}"


def test_nobody_may_write_what_is_kept(tmp_path: Path, hub: Path) -> None:
    kept(tmp_path).place(hub, tmp_path / "one")

    assert (tmp_path / "one" / "model.safetensors").stat().st_mode & 0o222 == 0


def test_what_no_job_names_any_more_is_removed(tmp_path: Path, hub: Path) -> None:
    files = kept(tmp_path)
    files.place(hub, tmp_path / "one")
    for file in (tmp_path / "one").iterdir():
        file.unlink()
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}{}")

    files.place(other, tmp_path / "two")

    held = [file for file in (tmp_path / "files").iterdir() if len(file.name) == 64]
    assert [file.read_text() for file in held] == ["{}{}"]


def test_a_damaged_list_of_what_was_seen_costs_time_and_nothing_else(
    tmp_path: Path, hub: Path
) -> None:
    files = kept(tmp_path)
    first = files.place(hub, tmp_path / "one")
    (tmp_path / "files" / "seen.json").write_text("[")

    assert sorted(files.place(hub, tmp_path / "two").values()) == sorted(first.values())


def test_a_full_disk_keeps_no_half_of_a_file(tmp_path: Path, hub: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGE // 2, before[1]))
    try:
        with pytest.raises(BackendUnavailable, match="File too large; free some space"):
            JobFolderTree(tmp_path / "training").write(SftJob(base="base"), base=hub)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    left = [path for path in (tmp_path / "training").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in left) < 1_000


def test_a_download_that_is_not_whole_is_one_line(tmp_path: Path, hub: Path) -> None:
    (hub.parents[1] / "blobs" / "model.safetensors-hash").unlink()

    with pytest.raises(BackendUnavailable) as error:
        JobFolderTree(tmp_path / "training").write(SftJob(base="base"), base=hub)

    assert "model.safetensors-hash" in str(error.value)
    assert "[(" not in str(error.value)


@pytest.mark.parametrize(("mode", "shared"), [(0o444, True), (0o644, False)])
def test_only_what_nobody_may_write_is_linked(tmp_path: Path, mode: int, shared: bool) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("x")
    source.chmod(mode)

    link_or_copy(str(source), str(target))

    assert target.samefile(source) == shared
    assert target.read_text() == "x"
