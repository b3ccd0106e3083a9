"""One small edit makes a near copy wrong: none of these may be called said or supported."""

import pytest

from tests.unit.grounded import grounder, passage


@pytest.mark.parametrize(
    ("note", "claim"),
    [
        (
            "I tried the new plugin after Bob recommended it.",
            "Bob tried the new plugin after I recommended it.",
        ),
        (
            "The script runs every night before the backup starts.",
            "The backup starts every night before the script runs.",
        ),
        (
            "I switched from Heroku to Fly, which was cheaper at the time.",
            "I switched from Heroku to Fly, which is cheaper.",
        ),
        ("The old version was fast, the new version is slow.", "The new version is fast."),
        ("The old version was fast, the new version is slow.", "The old version is slow."),
        ("My colleague says the cache is broken, I have not checked.", "The cache is broken."),
        ("It is not clear whether the cache is broken.", "The cache is broken."),
        ("I would recommend Caddy if it supported Windows.", "I recommend Caddy."),
        ("I was about to delete the database when Bob called.", "I deleted the database."),
        (
            "I nearly deleted the whole database on Friday.",
            "I deleted the whole database on Friday.",
        ),
        ("The tests pass on Linux but not on Windows.", "The tests pass on Windows."),
        ("The tests pass on Linux but fail on Windows.", "The tests fail on Linux."),
        ("Neither the tests nor the build pass on Windows.", "The build passes on Windows."),
        (
            "I thought that the cache was the culprit, but it was the DNS.",
            "The cache was the culprit.",
        ),
        ("Apart from the login page, every page is cached.", "Every page is cached."),
        ("Every page except the login page is cached.", "Every page is cached."),
        (
            "The import takes 5 minutes on my laptop and 40 on the server.",
            "The import takes 40 minutes on my laptop.",
        ),
        ("The import took 5 minutes in 2020.", "The import took 5 minutes in 2021."),
        (
            "I pay $5 a month for the server and $12 a year for the domain.",
            "I pay $12 a month for the server.",
        ),
        ("The API returns JSON by default and XML on request.", "The API returns XML by default."),
        ("It used to take an hour, now it takes a minute.", "It takes an hour."),
        ("I stopped running the cron job in May.", "I run the cron job."),
        ("The parser ignores comments that start with a hash.", "The parser ignores comments."),
        ("The parser ignores only comments.", "The parser ignores comments and strings."),
        ("The cat ate the bird that sat on the fence.", "The bird sat on the cat."),
        (
            "We told the vendor that their API was slow.",
            "The vendor told us that their API was slow.",
        ),
        ("The vendor promised that the API would be fast.", "The API is fast."),
        (
            "I hope the API will be fast in the next version.",
            "The API will be fast in the next version.",
        ),
        ("You should back up the database first.", "I back up the database first."),
        ("Back up the database before you upgrade.", "I back up the database before I upgrade."),
        (
            "The first attempt failed because of a typo.",
            "The first attempt failed because of a bug.",
        ),
        ("The first attempt failed.", "The first attempt failed because of a typo."),
        ("I moved the blog so that it loads faster.", "I moved the blog because it loads faster."),
        ("The tool is fast, although its output is ugly.", "The tool is ugly."),
        (
            "The tool that Bob wrote is fast, the one that I wrote is slow.",
            "The tool that I wrote is fast.",
        ),
        ("I have never lost data with this setup.", "I have lost data with this setup."),
        ("It rarely fails on large files.", "It fails on large files."),
        ("The library claims to be thread safe.", "The library is thread safe."),
        ("The docs suggest using a pool.", "I suggest using a pool."),
        ("Users can delete their own posts.", "Users can delete posts."),
        ("Admins can delete all posts, users can delete their own.", "Users can delete all posts."),
        ("The index speeds up reads and slows down writes.", "The index speeds up writes."),
        ("The index speeds up reads and slows down writes.", "The index slows down reads."),
        (
            "I upgraded to version 3.1 to fix the leak.",
            "I upgraded to version 3.2 to fix the leak.",
        ),
        (
            "I upgraded to version 3.1, which fixed the leak.",
            "I upgraded to version 3.1, which caused the leak.",
        ),
        ("A friend of mine built the frontend, and I built the backend.", "I built the frontend."),
        (
            "With caching the page loads in 1 s, without it in 5 s.",
            "Without caching the page loads in 1 s.",
        ),
        (
            "At least 10 requests are needed to warm the cache.",
            "10 requests are needed to warm the cache.",
        ),
        ("The query returns more than 10 rows.", "The query returns 10 rows."),
        ("The query returns about half of the rows.", "The query returns half of the rows."),
        ("It was supposed to be a weekend project.", "It was a weekend project."),
        ("I pretended to understand the error.", "I understood the error."),
        ("I failed to reproduce the bug on my laptop.", "I reproduced the bug on my laptop."),
        ("I was unable to reproduce the bug.", "I reproduced the bug."),
        ("Nobody but Alice has the key to the server.", "Nobody has the key to the server."),
        (
            "The key is stored in the vault rather than in the repo.",
            "The key is stored in the repo.",
        ),
        ("Instead of a framework I use plain functions.", "I use a framework."),
        ("I use Vim for code and Word for letters.", "I use Word for code."),
        ("I prefer tabs over spaces in Go code.", "I prefer spaces over tabs in Go code."),
        ("The server is older than the database.", "The database is older than the server."),
        ("Alice is a better cook than Bob.", "Bob is a better cook than Alice."),
        ("In theory the cache is shared between workers.", "The cache is shared between workers."),
        ("On paper the new disk is twice as fast.", "The new disk is twice as fast."),
        (
            "I almost always run the tests before a commit.",
            "I always run the tests before a commit.",
        ),
        ("The bug only shows up in Safari.", "The bug shows up in every browser."),
        ("The bug shows up in Safari and, I suspect, in Chrome.", "The bug shows up in Chrome."),
        ("What I don't like is that the cache is slow.", "I like that the cache is slow."),
        ("Who wrote the crawler? I did not.", "I wrote the crawler."),
        (
            "I doubt the new cache is faster than the old one.",
            "The new cache is faster than the old one.",
        ),
        ("If I had time I would rewrite the parser in Rust.", "I rewrote the parser in Rust."),
        ("I'm thinking of rewriting the parser in Rust.", "I'm rewriting the parser in Rust."),
        ("Until last year I wrote all my posts in Word.", "I write all my posts in Word."),
        ("Two of the three tests pass.", "The three tests pass."),
        ("All but one of the tests pass.", "All of the tests pass."),
        ("Most people think SQLite is a toy.", "SQLite is a toy."),
        ("Some say that SQLite is a toy.", "SQLite is a toy."),
        ("It is a myth that SQLite is a toy.", "SQLite is a toy."),
        ("SQLite is hardly a toy database.", "SQLite is a toy database."),
        ("The blog was hacked by a bot in 2019.", "The blog hacked a bot in 2019."),
        (
            "The manager approved the plan of the team.",
            "The team approved the plan of the manager.",
        ),
        ("I gave Bob the key and Alice the password.", "I gave Alice the key."),
        ("Bob showed Alice the new dashboard.", "Alice showed Bob the new dashboard."),
    ],
)
def test_a_near_copy_that_says_something_else_is_unsupported(note: str, claim: str) -> None:
    evidence = passage(f"{note} Nothing else happened that day.")
    checked = grounder(min_nearness=0).check(claim, [evidence]).sentences
    assert [each.verdict.value for each in checked] == ["unsupported"]
