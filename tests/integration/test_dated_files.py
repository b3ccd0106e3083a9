"""Files that are dated by a CSV file beside them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from llm_engineering.domain.errors import SourceFailed
from llm_engineering.domain.sources import FilesConfig
from llm_engineering.infrastructure.sources.files import FilesSource
from llm_engineering.ports.sources import Found, Unchanged
from tests.integration.reading import ADA, documents, heads, now, read, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "notes" / "deep").mkdir(parents=True)
    (tmp_path / "notes" / "a.md").write_text("Undated bread.", encoding="utf-8")
    (tmp_path / "notes" / "deep" / "b ü.md").write_text("Undated tea.", encoding="utf-8")
    (tmp_path / "notes" / "own.md").write_text(
        "---\ndate: 2024-03-05\n---\nDated soup.", encoding="utf-8"
    )
    return tmp_path


def source(folder: Path, dates: str) -> FilesSource:
    (folder / "dates.csv").write_text(dates, encoding="utf-8")
    config = FilesConfig(kind="files", path=folder / "notes", dates=folder / "dates.csv")
    return FilesSource(config, author=ADA, now=now)


def dated(folder: Path, dates: str) -> dict[str, datetime | None]:
    found: list[Found] = run(read(source(folder, dates), None))
    return {document.text.split()[1]: document.published_at for document in documents(found)}


def test_a_file_without_a_date_gets_that_of_the_list(folder: Path) -> None:
    made = dated(folder, 'path,created\na.md,2020-04-19\n"deep/b ü.md",2021-05-06T07:08:09+02:00\n')

    assert made["bread."] == datetime(2020, 4, 19, tzinfo=UTC)
    assert made["tea."] == datetime(2021, 5, 6, 5, 8, 9, tzinfo=UTC)


def test_the_date_inside_a_file_counts_and_one_not_listed_has_none(folder: Path) -> None:
    made = dated(folder, "path,created\nown.md,2020-04-19\n")

    assert made == {
        "bread.": None,
        "tea.": None,
        "soup.": datetime(2024, 3, 5, tzinfo=UTC),
    }


def test_a_file_is_read_again_when_its_date_changes(folder: Path) -> None:
    first = run(read(source(folder, "path,created\na.md,2020-04-19\n"), None))
    again = run(read(source(folder, "path,created\na.md,2020-04-20\n"), heads(first)))

    (changed,) = [each for each in again if not isinstance(each, Unchanged)]
    (document,) = documents([changed])
    assert document.published_at == datetime(2020, 4, 20, tzinfo=UTC)
    assert len(again) == 3


@pytest.mark.parametrize(
    ("dates", "problem"),
    [
        ("path,created\na.md,soon\n", r"line 2: expected a path and a date like"),
        ("path,created\n\na.md\n", r"line 3: expected a path and a date like"),
        ("a.md,2020-04-19\n", r"the first line must hold headings, like path,date"),
        ("path,created\na.md,2020-01-01\n./a.md,2020-01-02\n", r"line 3: a\.md has two dates"),
        ("path,created\nnotes/a.md,2020-01-01\n", r"dates no file of .*like 'a\.md'"),
        ("", r"dates no file of"),
    ],
)
def test_a_list_that_cannot_be_used_is_named_with_the_fix(
    folder: Path, dates: str, problem: str
) -> None:
    with pytest.raises(SourceFailed, match=rf"dates\.csv.*{problem}"):
        dated(folder, dates)


def test_a_list_that_is_not_there_or_not_text_is_one_line(folder: Path) -> None:
    given = source(folder, "")
    (folder / "dates.csv").write_bytes(b"\xff\xfe,\n")
    with pytest.raises(SourceFailed, match=r"dates\.csv is no CSV file in UTF-8"):
        run(read(given, None))
    (folder / "dates.csv").unlink()
    with pytest.raises(SourceFailed, match=r"cannot read .*dates\.csv: No such file"):
        run(read(given, None))
