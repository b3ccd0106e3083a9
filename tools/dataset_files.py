"""Sample sets as files for other programs, and on the Hugging Face hub."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Literal, assert_never

from llm_engineering.application.datasets.card import KINDS, dataset_card
from llm_engineering.application.datasets.report import dataset_report
from llm_engineering.domain.errors import (
    BackendUnavailable,
    InvalidInput,
    InvalidSettings,
    MissingExtra,
)
from llm_engineering.domain.sample_rows import Row, Sample, row_of
from llm_engineering.domain.samples import SampleSet, Split

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Form = Literal["jsonl", "parquet"]

_TOKEN = "HF_TOKEN"  # noqa: S105  the name of a variable
_EXTRA = "train"


def write_set(samples: SampleSet, folder: Path, *, form: Form) -> None:
    """Make `folder` with `<kind>.<split>.<form>`, README.md (the card) and manifest.json.

    It is there as a whole or not at all. Raises InvalidInput when it exists already, MissingExtra
    for Parquet without pyarrow, BackendUnavailable when it cannot be written.
    """
    if form == "parquet" and find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow", extra=_EXTRA)
    if folder.exists():
        raise InvalidInput(f"{str(folder)!r} is there already; name a folder that is not")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            _write_files(samples, partial, form=form)
            partial.chmod(0o755)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise BackendUnavailable(
            f"cannot write {str(folder)!r}: {error.strerror or error}; name a folder that you may "
            "write to, with space left"
        ) from None


def push_set(samples: SampleSet, repository: str, *, private: bool) -> str:
    """Upload the set as Parquet with its card; returns the address.

    Raises InvalidSettings without a token, MissingExtra without the hub's client,
    BackendUnavailable in one line when the hub does not take it.
    """
    if find_spec("huggingface_hub") is None:
        raise MissingExtra("huggingface_hub", extra=_EXTRA)
    token = os.environ.get(_TOKEN)
    if not token:
        raise InvalidSettings(
            f"{_TOKEN} is not set; make a token that may write at "
            "https://huggingface.co/settings/tokens"
        )
    from huggingface_hub import HfApi

    with TemporaryDirectory() as temporary, _hub_refusals(repository):
        folder = Path(temporary) / "set"
        write_set(samples, folder, form="parquet")
        return _upload(folder, repository, samples, api=HfApi(token=token), private=private)


def _upload(
    folder: Path, repository: str, samples: SampleSet, *, api: "HfApi", private: bool
) -> str:
    url = api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
    # `private` says nothing of a repository that was there before.
    if private and not api.dataset_info(repository).private:
        raise InvalidInput(
            f"{repository!r} is public already; give --public to publish there, or name another one"
        )
    api.upload_folder(
        repo_id=repository,
        repo_type="dataset",
        folder_path=folder,
        commit_message=f"Sample set {samples.manifest.version}",
    )
    return str(url)


@contextmanager
def _hub_refusals(repository: str) -> Iterator[None]:
    """Each in one line."""
    from httpx import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise InvalidInput(f"{repository!r} is no OWNER/NAME: {_first_line(error)}") from None
    except (HfHubHTTPError, HTTPError, OSError) as error:
        raise BackendUnavailable(
            f"the hub did not take {repository!r}: {_first_line(error)}; check {_TOKEN} and "
            "the network, or use 'twin dataset export'"
        ) from None


def _write_files(samples: SampleSet, folder: Path, *, form: Form) -> None:
    for name, rows in _tables(samples):
        match form:
            case "jsonl":
                with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as out:
                    out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            case "parquet":
                import pyarrow as pa
                import pyarrow.parquet as pq

                pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
            case unreachable:
                assert_never(unreachable)
    card = dataset_card(dataset_report(samples), samples.manifest, suffix=form)
    (folder / "README.md").write_text(card, encoding="utf-8")
    (folder / "manifest.json").write_text(
        samples.manifest.model_dump_json(indent=2) + "\n", encoding="utf-8"
    )


def _tables(samples: SampleSet) -> Iterator[tuple[str, list[Row]]]:
    for kind in KINDS:
        held: tuple[Sample, ...] = getattr(samples, kind)
        for split in Split:
            rows = [row_of(sample) for sample in held if sample.split is split]
            if rows:
                yield f"{kind}.{split.value}", rows


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
