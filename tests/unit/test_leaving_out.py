"""A sentence may leave out of its evidence what does not matter, and put in what says nothing."""

import pytest

from tests.unit.grounded import grounder, passage


def verdict(sentence: str, note: str) -> str:
    evidence = passage(f"{note} Nothing else happened.")
    (checked,) = grounder(min_nearness=0).check(sentence, [evidence]).sentences
    return checked.verdict.value


@pytest.mark.parametrize(
    ("note", "claim"),
    [
        ("I moved the old static files to Caddy.", "I moved the static files to Caddy."),
        ("I noticed that the cache was cold.", "The cache was cold."),
        ("I read the log of the import at night.", "I read the log at night."),
        ("I moved the files to Caddy in March.", "I moved the files to Caddy."),
        ("I moved the files (all 300) to Caddy.", "I moved the files to Caddy."),
        ("But then I moved the files to Caddy.", "I moved the files to Caddy."),
        ("I moved the files, and the cache went cold.", "The cache went cold."),
        ("It turns out that the cache was cold.", "The cache was cold."),
        ("This means you can run the tests offline.", "You can run the tests offline."),
        ("I installed nginx and moved the files to Caddy.", "I moved the files to Caddy."),
        ("I don't use an ORM for scripts.", "I do not use an ORM for scripts."),
        ("I'll move the big files to Caddy.", "I will move the files to Caddy."),
        ("The import reads 1,000 rows, then the cache grows.", "The import reads 1,000 rows."),
        ("Caddy serves the files. It also renews certificates.", "It renews certificates."),
        ("I use Caddy, which renews certificates daily.", "I use Caddy, it renews certificates."),
    ],
)
def test_what_does_not_matter_may_go(note: str, claim: str) -> None:
    assert verdict(claim, note) == "supported"


@pytest.mark.parametrize(
    ("note", "claim"),
    [
        ("I kept refusing to learn AppleScript.", "I kept learning AppleScript."),
        ("One of the main things I use is the history.", "The main thing I use is the history."),
        ("However, I believe this is one of the uses.", "This is one of the uses."),
        ("Each node writes to a file which Datasette can read.", "Datasette writes to a file."),
        (
            "I asked Claude for it, then simplified it.",
            "I asked Claude for it, then had it simplified.",
        ),
        ("Nobody told me that the cache was cold.", "The cache was cold."),
        ("I moved the test files to Caddy.", "I moved the test."),
        ("I deleted the copy of the database.", "I deleted the database."),
        ("I deleted the database backup on Monday.", "I deleted the database on Monday."),
        ("I considered moving the files to Caddy.", "I moved the files to Caddy."),
        ("If the upload fails, I look at the log.", "The upload fails."),
        ("Users with admin rights can delete it.", "Users can delete it."),
        ("The encrypted backups are safe to publish.", "The backups are safe to publish."),
        ("I delete empty folders from the archive.", "I delete folders from the archive."),
        ("I have never lost data on a disk with a journal.", "I have never lost data."),
        ("Nobody in Norway pays tax on books.", "Nobody pays tax on books."),
        ("Every second request to the server fails.", "Every request to the server fails."),
        ("I was worried that the quotes break out.", "The quotes break out."),
        ("I dreamt that the cache was cold.", "The cache was cold."),
        (
            "In the above case all was well. None of the rows is kept in other cases.",
            "In the above case, none of the rows is kept.",
        ),
        (
            "When I press tab, the editor opens. After that the new line replaces the old one.",
            "When I press tab, the new line replaces the old one.",
        ),
        ("I got stuck when moving files to Caddy.", "I moved files to Caddy."),
        ("I moved the files without the cache.", "I moved the cache."),
        ("The script deletes the files only on Mondays.", "The script deletes the files."),
        (
            "The key triggers are before and after. I skipped the rest, they only apply to views.",
            "The key triggers are before and after, which only apply to views.",
        ),
        ("When I pop and there is no conflict, git keeps it.", "When I pop, git keeps it."),
    ],
)
def test_what_matters_may_not(note: str, claim: str) -> None:
    assert verdict(claim, note) == "unsupported"
