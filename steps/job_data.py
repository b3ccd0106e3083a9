"""Writes the rows that a training job reads into its folder."""

import json
from pathlib import Path

from llm_engineering.application.datasets.rows import JobRows
from llm_engineering.domain.errors import BackendUnavailable


def write_job_data(rows: JobRows, folder: Path) -> None:
    """Make `folder` (a job's `data/`) with train.jsonl, validation.jsonl and test.jsonl.

    Raises BackendUnavailable when it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for split, lines in rows.items():
            with (folder / f"{split.value}.jsonl").open("w", encoding="utf-8") as out:
                out.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    except OSError as error:
        raise BackendUnavailable(
            f"cannot write the rows of a job in {folder}: {error.strerror}; free some space, or "
            "set TWIN_HOME to a folder of yours"
        ) from None
