"""A sentence that has the words of its evidence, and tells them otherwise, is not supported."""

import pytest

from tests.unit.grounded import grounder, passage


def verdict(sentence: str, note: str) -> str:
    (checked,) = grounder(min_nearness=0).check(sentence, [passage(note)]).sentences
    return checked.verdict.value


BY_OTHERS = [
    ("I wrote the crawler in the summer of 2020.", "My brother wrote the crawler in 2020."),
    ("I wrote the crawler in the summer of 2020.", "They wrote the crawler in 2020."),
    ("My brother wrote the crawler in 2020.", "I wrote the crawler in 2020."),
    ("They wrote the crawler in the summer.", "We wrote the crawler in the summer."),
    ("Simon wrote the crawler in the summer.", "I wrote the crawler in the summer."),
    ("You can move the static files to Caddy.", "I can move the static files to Caddy."),
    ("I moved Bob's static files to Caddy.", "I moved my static files to Caddy."),
    ("We moved his static files to Caddy.", "We moved our static files to Caddy."),
    ("Alice asked me for the backup script.", "Alice asked them for the backup script."),
]


@pytest.mark.parametrize(("note", "claim"), BY_OTHERS)
def test_somebody_else_is_not_the_one_who_did_it(note: str, claim: str) -> None:
    assert verdict(claim, note) == "unsupported"


EXCHANGED = [
    ("Alice sold the old server to me.", "I sold the old server to Alice."),
    ("Bob beat Alice in the final round.", "Alice beat Bob in the final round."),
    ("The parser calls the lexer for every token.", "The lexer calls the parser for every token."),
    ("The parser calls the lexer directly.", "The parser is called by the lexer directly."),
    ("The parser is called by the lexer.", "The parser calls the lexer."),
    ("I moved the blog from Heroku in March.", "I moved the blog to Heroku in March."),
    ("Reading it is easy, but writing it is not.", "Reading it is not, but writing it is easy."),
    ("The workflow runs it when I run the tests.", "I run it when the workflow runs the tests."),
    ("Bob thanked me for the quick patch.", "I thanked Bob for the quick patch."),
    (
        "I use SQLite for tests and Postgres for production.",
        "I use Postgres for tests and SQLite for production.",
    ),
    (
        "The blog runs on port 8000 and the wiki runs on port 9000.",
        "The blog runs on port 9000 and the wiki runs on port 8000.",
    ),
    (
        "The first disk is fast but noisy, the second disk is slow but quiet.",
        "The first disk is slow but noisy, the second disk is fast but quiet.",
    ),
    (
        "Reads take 5 ms and writes take 40 ms on this disk.",
        "Reads take 40 ms and writes take 5 ms on this disk.",
    ),
]


@pytest.mark.parametrize(("note", "claim"), EXCHANGED)
def test_exchanged_parts_are_not_supported(note: str, claim: str) -> None:
    assert verdict(claim, note) == "unsupported"


NOT_SO = [
    ("I used to run the blog on Django.", "I run the blog on Django."),
    ("I will migrate the blog to Astro next week.", "I migrated the blog to Astro."),
    ("I'll migrate the blog to Astro next week.", "I migrated the blog to Astro."),
    ("I'm going to migrate the blog to Astro.", "I migrated the blog to Astro."),
    ("I intend to migrate the blog to Astro.", "I migrated the blog to Astro."),
    ("I should rotate the access tokens.", "I rotate the access tokens."),
    ("I could rotate the access tokens.", "I rotate the access tokens."),
    ("I rotate the access tokens weekly.", "I must rotate the access tokens weekly."),
    ("I run the blog on Django.", "I used to run the blog on Django."),
    ("I no longer run the blog on Django.", "I run the blog on Django."),
    ("I used Django for the old blog.", "I use Django for the blog."),
    ("I archived the photos on tape.", "I archive the photos on tape."),
    ("The crawler dropped every cookie.", "The crawler drops every cookie."),
    ("I didn't think that it was possible.", "I don't think that it is possible."),
    ("I have a hunch that the cache leaks memory.", "The cache leaks memory."),
    ("I want the tool to be fetched and then reused.", "The tool is fetched and then reused."),
    (
        "Keep the version stable unless you want new locks.",
        "Keep the version stable even when you want new locks.",
    ),
    ("Originally I ran the blog on Django.", "I ran the blog on Django all along."),
]


@pytest.mark.parametrize(("note", "claim"), NOT_SO)
def test_planned_possible_and_past_are_not_done_and_now(note: str, claim: str) -> None:
    assert verdict(claim, note) == "unsupported"


HEARSAY = [
    ("Bob told me that the crawler drops cookies.", "The crawler drops cookies."),
    ("The manual says that the crawler drops cookies.", "The crawler drops cookies."),
    ("According to Bob, the crawler drops cookies.", "The crawler drops cookies."),
    ("The crawler drops all cookies, says Bob.", "The crawler drops all cookies."),
    ("I was told that the crawler drops cookies.", "The crawler drops cookies."),
    ('He wrote: "the crawler drops every cookie".', "The crawler drops every cookie."),
    ("Bob thinks that the crawler drops cookies.", "The crawler drops cookies."),
]


@pytest.mark.parametrize(("note", "claim"), HEARSAY)
def test_what_somebody_said_is_not_told_as_so(note: str, claim: str) -> None:
    assert verdict(claim, note) == "unsupported"


OTHERWISE = [
    ("Caddy serves the files. The old proxy leaked memory.", "Caddy leaked memory."),
    (
        "The import job reads the feed. The nightly script deletes stale rows.",
        "The import job deletes stale rows.",
    ),
    ("The lowest reading was -5 degrees that night.", "The lowest reading was 5 degrees."),
    ("The lowest reading was 5 degrees that night.", "The lowest reading was -5 degrees."),
    ("The server costs me $5 every month.", "The server costs me €5 every month."),
    ("The server costs me 5 dollars every month.", "The server costs me 5 euros every month."),
    ("The import takes ~5 minutes on my laptop.", "The import takes 5 minutes on my laptop."),
    (
        "I enable WAL mode before the first import.",
        "I enable WAL mode before the first import overnight",
    ),
    ("I enable WAL mode before the import.", "Yesterday I enable WAL mode before the import."),
    ("I moved the static files to Caddy.", "I moved the static files to Caddy successfully."),
]


@pytest.mark.parametrize(("note", "claim"), OTHERWISE)
def test_joined_signed_or_added_to_is_not_supported(note: str, claim: str) -> None:
    assert verdict(claim, note) == "unsupported"


ANOTHER_AMOUNT = [
    ("Most of the integration tests fail.", "The integration tests fail."),
    ("Some integration tests fail on the server.", "The integration tests fail on the server."),
    ("Few readers open the archive page.", "Many readers open the archive page."),
    ("The import takes over 40 minutes on it.", "The import takes 40 minutes on it."),
    ("The import takes at least 40 minutes here.", "The import takes 40 minutes here."),
    ("The import takes up to 40 minutes here.", "The import takes 40 minutes here."),
    ("The import takes less than 40 minutes here.", "The import takes more than 40 minutes here."),
    ("When the cache is cold, the import takes 40 minutes.", "The import takes 40 minutes."),
]


@pytest.mark.parametrize(("note", "claim"), ANOTHER_AMOUNT)
def test_some_of_it_and_at_most_so_much_are_not_all_of_it_and_so_much(
    note: str, claim: str
) -> None:
    assert verdict(claim, note) == "unsupported"


ALIKE = [
    (
        "Most of the integration tests passed, some did not.",
        "Most of the integration tests passed.",
    ),
    ("The import takes over 40 minutes at night.", "The import takes over 40 minutes."),
    ("I wrote the crawler with my brother in 2020.", "I wrote the crawler in 2020."),
    ("They wrote the crawler in one long summer.", "They wrote the crawler in one summer."),
    ("I told Bob that the crawler drops cookies.", "I told Bob the crawler drops cookies."),
    ("Bob told me that the crawler drops cookies.", "Bob told me the crawler drops cookies."),
    ("I will migrate the old blog to Astro next week.", "I will migrate the blog to Astro."),
    ("I'll migrate the old blog to Astro next week.", "I will migrate the blog to Astro."),
    ("I used to run the old blog on Django.", "I used to run the blog on Django."),
    ("And the server costs me $5 every month.", "The server costs me $5 every month."),
    ("But the server costs me $5 every month.", "The server costs me 5 dollars every month."),
    ("The lowest reading ever was -5 degrees.", "The lowest reading was -5 degrees."),
    ("I installed nginx and moved the static files to it.", "I moved the static files."),
    ("I learned that the crawler drops all cookies.", "The crawler drops all cookies."),
    ("Bob sent me the old logs, so I wrote a parser.", "I wrote a parser."),
]


@pytest.mark.parametrize(("note", "claim"), ALIKE)
def test_what_is_told_alike_is_supported(note: str, claim: str) -> None:
    assert verdict(claim, f"{note} Nothing else happened.") in ("supported", "said")
