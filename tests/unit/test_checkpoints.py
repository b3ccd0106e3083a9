"""A checkpoint is gone on from only when it is whole and belongs to the job."""

from pathlib import Path

import pytest

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.training import SftJob
from llm_engineering.recipes.checkpoints import (
    WHOLE,
    Evaluation,
    Progress,
    digest_of_job,
    folder_of,
    keep_few,
    newest_whole,
    progress_of,
    seal,
)


def written(checkpoints: Path, step: int, *, job: str = "mine", sealed: bool = True) -> Path:
    folder = folder_of(checkpoints, step)
    (folder / "deeper").mkdir(parents=True)
    (folder / "weights").write_bytes(bytes([step % 256]) * 1_000)
    (folder / "deeper" / "state").write_text(str(step))
    if sealed:
        seal(folder, Progress(job=job, step=step))
    return folder


def test_the_newest_by_step_is_found_and_says_how_far_it_was(tmp_path: Path) -> None:
    for step in (90, 100, 20):
        written(tmp_path, step)
    found = newest_whole(tmp_path, job="mine")
    assert found == folder_of(tmp_path, 100)
    assert progress_of(found).step == 100


def test_without_any_there_is_none(tmp_path: Path) -> None:
    assert newest_whole(tmp_path, job="mine") is None


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "unsealed", "nonsense"])
def test_a_damaged_one_is_passed_over_for_the_one_before_with_a_note(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = written(tmp_path, 10), written(tmp_path, 20)
    match damage:
        case "cut":
            (bad / "weights").write_bytes(b"\x14" * 999)
        case "changed":
            (bad / "weights").write_bytes(b"\x14" * 999 + b"?")
        case "missing":
            (bad / "deeper" / "state").unlink()
        case "unsealed":
            (bad / WHOLE).unlink()
        case "nonsense":
            (bad / WHOLE).write_text("{")
    assert newest_whole(tmp_path, job="mine") == good
    assert "checkpoint-20 is damaged or incomplete; going on from the one before" in caplog.text
    assert not bad.exists()


def test_another_jobs_checkpoint_is_refused(tmp_path: Path) -> None:
    written(tmp_path, 10, job="theirs")
    with pytest.raises(InvalidInput, match="another job or other data; name an empty folder"):
        newest_whole(tmp_path, job="mine")


def test_the_two_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    for step in (10, 20, 30, 40, 100):
        written(tmp_path, step)
    keep_few(tmp_path, best=20)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-100",
        "checkpoint-20",
        "checkpoint-40",
    ]


def test_other_data_or_another_rule_is_another_job(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}\n")
    job = SftJob(base="b")
    first = digest_of_job(job, tmp_path)
    assert digest_of_job(SftJob(base="b"), tmp_path) == first
    assert digest_of_job(SftJob(base="b", packing=False), tmp_path) != first
    (tmp_path / "train.jsonl").write_text("{ }\n")
    assert digest_of_job(job, tmp_path) != first


def test_the_best_is_the_first_of_the_lowest_and_later_ones_are_without_gain() -> None:
    losses = ((10, 3.0), (20, 2.0), (30, 2.0), (40, 2.5))
    progress = Progress(job="", evaluations=tuple(Evaluation(step=s, loss=v) for s, v in losses))
    assert progress.best == Evaluation(step=20, loss=2.0)
    assert progress.without_gain == 2
    assert Progress(job="").best is None
