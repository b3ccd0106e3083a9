"""Files below a folder: what is read, what is skipped, what says why it cannot be read."""

import os
import re
from pathlib import Path

import pytest

from llm_engineering.domain.documents import Author, Document, DocumentHead, DocumentKind
from llm_engineering.domain.errors import InvalidConfig, SourceFailed
from llm_engineering.domain.sources import FilesConfig
from llm_engineering.infrastructure.sources.files import FilesSource
from llm_engineering.ports.sources import Found, Unchanged
from tests.integration.reading import ADA, NOW, documents, failures, heads, now, read, run

BASE = "https://ada.example"


def files(path: Path, **options: object) -> FilesSource:
    config = FilesConfig.model_validate({"kind": "files", "path": path} | options)
    return FilesSource(config, author=ADA, now=now)


def found_in(
    path: Path, known: dict[str, DocumentHead] | None = None, **options: object
) -> list[Found]:
    return run(read(files(path, **options), known))


def write(path: Path, text: str = "Some text.") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def only(found: list[Found]) -> Document:
    (document,) = documents(found)
    return document


def test_front_matter_describes_a_note_and_is_not_its_text(tmp_path: Path) -> None:
    text = """---
title: It’s “on” parsing
date: 2024-03-05
tags: [python, parsing, python]
lang: en-GB
---

# A heading

I don't change   anything.\r
"""
    write(tmp_path / "a.md", text)
    document = only(found_in(tmp_path, name="notes", document_kind="post"))
    assert document.text == "# A heading\n\nI don't change   anything.\r\n"
    assert document.title == "It’s “on” parsing"
    assert str(document.published_at) == "2024-03-05 00:00:00+00:00"
    assert document.tags == ("python", "parsing")
    assert document.language == "en"
    assert document.source == "files:notes"
    assert document.kind is DocumentKind.POST
    assert document.url == (tmp_path / "a.md").as_uri()
    assert document.fetched_at == NOW


def test_a_note_without_front_matter_has_its_first_heading_as_title(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "```\n# no heading\n```\n\n## Using [`make`](/m) well ##\n\nText.\n")
    document = only(found_in(tmp_path))
    assert document.title == "Using make well"
    assert document.published_at is None


def test_a_note_without_any_heading_is_called_after_its_file(tmp_path: Path) -> None:
    write(tmp_path / "on parsing.txt", "Just text.")
    assert only(found_in(tmp_path)).title == "on parsing"


def test_html_files_are_extracted(tmp_path: Path) -> None:
    html = "<title>On parsing</title><nav>Home</nav><article><p>It’s <b>fine</b>.</p></article>"
    write(tmp_path / "a.html", html)
    document = only(found_in(tmp_path))
    assert (document.title, document.text) == ("On parsing", "It’s **fine**.")


def test_files_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b/2.md", "b/1.md", "a.md", "c.TXT"):
        write(tmp_path / name)
    names = [document.url.rpartition("/")[2] for document in documents(found_in(tmp_path))]
    assert names == ["a.md", "1.md", "2.md", "c.TXT"]


def test_hidden_and_foreign_folders_are_skipped(tmp_path: Path) -> None:
    for name in (".git/a.md", ".hidden.md", "node_modules/x/readme.md", "a.py", "kept.md"):
        write(tmp_path / name)
    assert only(found_in(tmp_path)).url.endswith("/kept.md")


def test_excluded_patterns_are_skipped(tmp_path: Path) -> None:
    for name in ("drafts/deep/a.md", "old/b.md", "kept.md"):
        write(tmp_path / name)
    found = found_in(tmp_path, exclude=("drafts/*", "old"))
    assert only(found).url.endswith("/kept.md")


def test_a_folder_that_links_to_itself_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "notes" / "a.md")
    (tmp_path / "notes" / "again").symlink_to(tmp_path / "notes")
    assert only(found_in(tmp_path)).title == "a"


def test_published_files_have_their_web_address(tmp_path: Path) -> None:
    write(tmp_path / "notes" / "a b.md")
    assert only(found_in(tmp_path, base_url=f"{BASE}/blob")).url == f"{BASE}/blob/notes/a%20b.md"


@pytest.mark.parametrize(
    ("field", "base_url", "expected"),
    [
        ("url: https://Ada.example/a?utm_source=x", None, f"{BASE}/a"),
        ("canonical: https://other.example/a", BASE, "https://other.example/a"),
        ("url: /posts/a/", BASE, f"{BASE}/posts/a/"),
    ],
)
def test_a_note_may_say_where_it_is_published(
    tmp_path: Path, field: str, base_url: str | None, expected: str
) -> None:
    write(tmp_path / "a.md", f"---\n{field}\n---\nText.")
    assert only(found_in(tmp_path, base_url=base_url)).url == expected


def test_a_relative_address_means_nothing_without_a_base(tmp_path: Path) -> None:
    path = write(tmp_path / "a.md", "---\nurl: /posts/a/\n---\nText.")
    assert only(found_in(tmp_path)).url == path.as_uri()


def test_two_files_with_one_address_are_told(tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        write(tmp_path / name, f"---\nurl: {BASE}/a\n---\nText.")
    first, second = found_in(tmp_path)
    assert isinstance(first, Document)
    assert failures([second])[0].reason == f"has the same address as a.md: {BASE}/a"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"It\xe2\x80\x99s fine, \xff is not", "not valid UTF-8 at byte 13"),
        (b"", "empty file"),
        (b" \n\t\n", "empty file"),
        (b"---\ntitle: x\n---\n", "empty: there is no text in it"),
        (b"---\n***\n---\n", "front matter, line 2: "),
        (b"---\ntitle: a\ntags: [a\n---\nText.", "front matter, line 4: "),
        (b"---\ntitle: a: b\n---\nText.", "front matter, line 2: mapping values are not allowed"),
        (b"---\ndate: 2024-02-31\n---\nText.", "front matter, line 1: day is out of range"),
        (b"---\ndate: someday\n---\nText.", "front matter: date 'someday' is not a date"),
        (b"---\nurl: ftp://x/a\n---\nText.", "'ftp://x/a' is not a web address"),
        (b"x" * 2_000, "larger than 1,000 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(content)
    (failure,) = failures(found_in(tmp_path, max_bytes=1_000))
    assert failure.subject == path.as_uri()
    assert failure.reason.startswith(reason)


def test_text_between_two_rules_is_no_front_matter(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "---\nJust a sentence.\n---\n\nMore.")
    assert only(found_in(tmp_path)).text == "---\nJust a sentence.\n---\n\nMore."


def test_a_byte_order_mark_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbf---\ntitle: T\n---\nText.")
    document = only(found_in(tmp_path))
    assert (document.title, document.text) == ("T", "Text.")


def test_a_link_to_nothing_and_a_pipe_are_told_and_block_nobody(tmp_path: Path) -> None:
    (tmp_path / "a.md").symlink_to(tmp_path / "nowhere.md")
    os.mkfifo(tmp_path / "b.md")
    write(tmp_path / "c.md")
    found = found_in(tmp_path)
    reasons = [failure.reason for failure in failures(found)]
    assert reasons == ["cannot be read: No such file or directory", "not a regular file"]
    assert len(found) == 3


def test_a_failure_of_a_published_file_names_the_file(tmp_path: Path) -> None:
    write(tmp_path / "notes" / "a.md", "")
    (failure,) = failures(found_in(tmp_path, base_url=BASE))
    assert failure.subject == f"{BASE}/notes/a.md"
    assert failure.reason == "notes/a.md: empty file"


def test_an_unchanged_file_is_not_parsed_again(tmp_path: Path) -> None:
    write(tmp_path / "a.md", f"---\nurl: {BASE}/a\n---\nText.")
    write(tmp_path / "b.md")
    first = found_in(tmp_path)
    write(tmp_path / "b.md", "Other text.")
    assert found_in(tmp_path, heads(first))[0] == Unchanged(f"{BASE}/a")
    assert isinstance(found_in(tmp_path, heads(first))[1], Document)


@pytest.mark.parametrize(
    ("option", "value"), [("base_url", BASE), ("document_kind", "post"), ("name", "other")]
)
def test_a_changed_configuration_reads_unchanged_files_again(
    tmp_path: Path, option: str, value: str
) -> None:
    write(tmp_path / "a.md")
    known = heads(found_in(tmp_path))
    source = files(tmp_path, **{option: value})
    assert isinstance(run(read(source, known))[0], Document)


def test_a_renamed_author_reads_unchanged_files_again(tmp_path: Path) -> None:
    write(tmp_path / "a.md")
    config = FilesConfig(kind="files", path=tmp_path)
    renamed = FilesSource(config, author=Author(name="ada lovelace"), now=now)
    assert only(run(read(renamed, heads(found_in(tmp_path))))).author == "ada lovelace"


def test_a_file_that_breaks_is_still_the_document_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "a.md", f"---\nurl: {BASE}/a\n---\nText.")
    first = found_in(tmp_path)
    path.write_bytes(b"\xff")
    (failure,) = failures(found_in(tmp_path, heads(first)))
    assert failure.subject == f"{BASE}/a"


def test_one_file_is_a_source_too(tmp_path: Path) -> None:
    path = write(tmp_path / "README.md", "# Project\n\nText.")
    assert only(found_in(path)).source == f"files:{path.as_posix()}"


def test_folders_that_share_a_name_are_two_sources(tmp_path: Path) -> None:
    sources = {
        only(found_in(write(tmp_path / where / "notes" / "a.md", "Text.").parent)).source
        for where in ("one", "two")
    }
    assert len(sources) == 2


@pytest.mark.parametrize(
    ("name", "reason"), [("missing", "no such folder: "), ("empty", "no Markdown, text or HTML")]
)
def test_a_folder_with_nothing_to_read_fails_as_a_whole(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceFailed, match=reason):
        found_in(tmp_path / name)


def test_a_folder_that_may_not_be_listed_fails_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.md")
    (tmp_path / "secret").mkdir()
    iterdir = Path.iterdir

    def refused(path: Path) -> object:
        if path.name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(SourceFailed, match=f"cannot list {re.escape(str(tmp_path))}/secret"):
        found_in(tmp_path)


def test_a_base_that_is_no_web_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="base_url: 'notes' is not a web address"):
        files(tmp_path, base_url="notes")
