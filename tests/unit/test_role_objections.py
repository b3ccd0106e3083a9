"""Each rule of roles objects by its own name, and not to what is nearly the same.

The verdict alone would not tell them apart: where one of them is silent, another may refuse.
"""

import pytest

from tests.unit.objecting import objections

DONE_BY_ANOTHER = [
    ("He moved the static files.", "We moved the static files.", "I moved"),
    ("Simon moved the static files.", "I moved the static files.", "I moved"),
    ("I moved the static files.", "They moved the static files.", "they moved"),
    ("He moved the static files.", "You moved the static files.", "you moved"),
    ("I moved the static files.", "My brother moved the static files.", "another moved"),
    ("I moved the static files.", "It moved the static files.", "another moved"),
    ("I asked you and Bob asked him for logs.", "I asked him for logs.", "I asked"),
    ("I asked you and Bob asked him.", "Alice asked you.", "another asked"),
    ("Scripts help and I moved files.", "Scripts moved files.", "another moved"),
    ("I moved files.", "The move moved files.", "another moved"),
]
BY_THE_SAME = [
    ("We moved the static files.", "I moved the static files.", "I moved"),
    ("It lets you copy the rows.", "You copy the rows.", "you copy"),
    ("Scripts copy the rows.", "They copy the rows.", "they copy"),
    ("I moved the static files.", "The static files moved to Caddy.", "another moved"),
    ("I moved files and scripts moved rows.", "Scripts moved rows.", "another moved"),
    ("Scripts moved the files.", "Brothers moved the files.", "another moved"),
    ("It moved the files.", "Brothers moved the files.", "another moved"),
    ("I asked him for logs. Bob asked you for logs.", "I asked him for logs.", "I asked"),
    ("Bob and I asked for logs. Bob asked him.", "I asked me for logs.", "I asked"),
    ("I asked you and Bob asked.", "I asked Alice.", "I asked"),
    ("Bob ran on Mondays. I ran.", "I on Mondays ran.", "I on"),
    ("Bob copies old rows.", "I copy old rows.", "I old"),
    ("I move files.", "Move files.", "another"),
    ("I use files.", "Bob uses files.", "another uses"),
    ("I copy old rows.", "Bob copies old rows.", "another old"),
    ("I got it and I moved files.", "The files got moved.", "another moved"),
    ("They moved files.", "They moved files.", "they moved"),
]

OF_ANOTHER = [
    ("I moved Bob's files.", "I moved my files.", "files of I"),
    ("I moved its files.", "I moved your files.", "files of you"),
    ("We moved our files.", "We moved their files.", "files of they"),
    ("Alice asked me for logs.", "Alice asked them for logs.", "asked of they"),
    ("Alice asked them for logs.", "Alice asked us for logs.", "asked of I"),
    ("I moved pages from Heroku.", "I moved pages to Heroku.", "to heroku"),
    ("I work with tests.", "I work without tests.", "without tests"),
]
OF_THE_SAME = [
    ("I moved our files.", "I moved my files.", "files of I"),
    ("I moved the files.", "I moved my files.", "files of I"),
    ("I moved Bob's files and my files.", "I moved my files.", "files of I"),
    ("I moved Bob's files.", "I moved its files.", "files of it"),
    ("I moved my rows.", "I moved my files.", "files of I"),
    ("Alice asked for logs.", "Alice asked them for logs.", "asked of they"),
    ("I moved pages with Heroku.", "I moved pages to Heroku.", "to heroku"),
    ("I moved from Caddy to Caddy.", "I moved to Caddy.", "to caddy"),
    ("I moved pages from it for me.", "I moved pages to `it` for me.", "to use"),
    ("I moved pages from used tapes.", "I moved pages to used tapes.", "to used"),
    ("I moved pages.", "I moved pages to disks.", "to disks"),
]

CALLED_BY = [
    ("The parser calls the lexer.", "The parser is called by the lexer.", "by lexer"),
    ("The parser is called by the lexer.", "The parser calls the lexer.", "by lexer"),
]
NOT_CALLED_BY = [
    ("The parser calls the lexer.", "The lexer is called by the parser.", "by parser"),
    ("The lexer is called by the parser.", "The parser calls the lexer.", "by parser"),
    ("The parser is called by the lexer.", "The parser is called by lexers.", "by lexers"),
    ("The parser and lexer run.", "By the parser lexer runs.", "by parser"),
    ("Rows by used disks.", "Rows used disks.", "by used"),
    ("Rows moved.", "Rows by rows moved.", "by rows"),
]

THEN = [
    ("I used Django for the blog.", "I use Django for the blog.", "tense use"),
    ("I archived photos on tape.", "I archive photos on tape.", "tense archive"),
    ("The crawler dropped pages.", "The crawler drops pages.", "tense drops"),
    ("The crawler dropped pages.", "It drops pages.", "tense drops"),
    # What is nearest to it is the sentence that has most of its clause.
    ("I drop pages. Bob dropped rows.", "Bob drops rows.", "tense drops"),
    (
        "I keep using it and get drops. Bob dropped rows.",
        "Bob keeps gets used drops rows.",
        "tense drops",
    ),
    ("Pages dropped. Bob sorted rows.", "Bob drops rows.", "tense drops"),
]
NOW = [
    ("I archived photos on tape.", "I archived photos.", "tense archived"),
    ("I archived photos on tape.", "I kept archiving photos.", "tense archiving"),
    ("I archive photos on tape.", "I archive photos.", "tense archive"),
    ("The crawler dropped pages.", "A drop of pages by the crawler.", "tense drop"),
    ("The crawler dropped pages.", "I drop pages.", "tense drop"),
    ("I logged pages.", "The log of pages.", "tense log"),
    ("I dropped pages and drop rows.", "I drop rows.", "tense drop"),
    ("I archived photos.", "I keep `archives`.", "tense archives"),
    ("I moved photos.", "I print photos.", "tense print"),
]

IN_ANOTHER_MOOD = [
    ("I can rotate tokens.", "I rotate tokens.", "mood rotate"),
    ("I rotate tokens.", "I must rotate tokens.", "mood rotate"),
    ("I should rotate tokens.", "I must rotate tokens.", "mood rotate"),
    ("Most tokens rotate.", "Tokens rotate.", "mood tokens"),
    ("The cache was cold.", "The cache is cold.", "mood cache"),
    ("The cache is cold.", "The cache was cold.", "mood cache"),
    ("I rotate tokens and I should keep keys.", "I rotate keys tokens, keep keys.", "mood keys"),
]
IN_THE_SAME_MOOD = [
    ("I rotate tokens.", "I can rotate tokens.", "mood rotate"),
    ("Tokens rotate.", "Some tokens rotate.", "mood tokens"),
    ("I should rotate tokens.", "I should rotate tokens.", "mood rotate"),
    ("I must rotate tokens.", "I must rotate some tokens.", "mood rotate"),
    ("The cache was cold.", "The cache got cold.", "mood cache"),
    ("I must rotate tokens and rotate keys.", "I rotate keys.", "mood rotate"),
    ("I rotate tokens and I must use keys.", "I rotate keys.", "mood keys"),
    ("I can use it.", "I use it.", "mood use"),
    ("I moved files.", "Red wolves moved.", "mood"),
]

BOUND = [
    ("It takes over 40 minutes.", "It takes 40 minutes.", "bound of 40"),
    ("It takes 40 minutes.", "It takes under 40 minutes.", "bound of 40"),
    ("It takes at most 40 minutes.", "It takes at least 40 minutes.", "bound of 40"),
]
NOT_BOUND = [
    ("It takes over 40 minutes.", "It takes over 40 minutes.", "bound of 40"),
    ("It takes over 40 minutes. I waited 40 minutes.", "I waited 40 minutes.", "bound of 40"),
    ("It takes 4 minutes.", "It takes over 40 minutes.", "bound of 40"),
]

HEARSAY = [
    ("Bob says that the crawler sleeps.", "The crawler sleeps.", "reported crawler"),
    ("The crawler sleeps, says Bob.", "The crawler sleeps.", "reported crawler"),
]
NO_HEARSAY = [
    ("Bob says that the crawler sleeps.", "Bob says the crawler sleeps.", "reported crawler"),
    ("Bob says it sleeps. The crawler sleeps.", "The crawler sleeps.", "reported sleeps"),
    ("Bob says the crawler sleeps. Crawlers sleep.", "The crawler sleeps.", "reported crawler"),
    ("Bob says it sleeps.", "The crawler sleeps.", "reported sleeps"),
    ("Bob says it works, is done.", "It works, is done.", "reported works"),
    ("I moved files.", "Red wolves sleep.", "reported"),
]

JOINED = [
    ("Caddy serves files. Old proxies leaked memory.", "Caddy leaked memory.", "joined caddy"),
    ("Caddy serves files. It runs. Nginx leaked.", "It runs, Caddy leaked.", "joined caddy"),
]
NOT_JOINED = [
    ("Caddy serves files. Proxies leaked.", "Caddy serves files, proxies leaked.", "joined caddy"),
    ("Caddy serves files. Caddy leaked memory.", "Caddy leaked memory.", "joined caddy"),
    ("Caddy serves files. I use it.", "Caddy serves used files.", "joined caddy"),
    ("Caddy serves files. I leak it.", "Caddy serves red files.", "joined caddy"),
]

FRONTED = [
    ("Editors send long drafts to readers.", "Readers send long drafts.", "fronted readers"),
    ("Editors send long drafts to readers.", "Readers send editors drafts.", "fronted readers"),
]
NOT_FRONTED = [
    ("Editors send long drafts to readers.", "Editors send long drafts.", "fronted editors"),
    ("Editors send long drafts.", "Drafts of editors send.", "fronted drafts"),
    ("Readers send long drafts to readers.", "Readers send long drafts.", "fronted readers"),
    ("Editors send drafts to readers soon.", "Readers send drafts soon.", "fronted readers"),
    ("I know readers, they send long drafts.", "I know, readers long send drafts.", "fronted know"),
    ("Editors send long drafts of use.", "Used editors send long drafts.", "fronted used"),
    ("Editors send long drafts.", "Drafts editors send long drafts.", "fronted drafts"),
]

EXCHANGED = [
    (
        "I use SQLite for tests and Postgres for sites.",
        "I use Postgres for tests and SQLite for sites.",
        "exchanged postgres sqlite",
    ),
    (
        "The blog runs on port 80 and the wiki runs on port 90.",
        "The blog runs on port 90 and the wiki runs on port 80.",
        "exchanged blog wiki",
    ),
]
NOT_EXCHANGED = [
    (
        "I use SQLite for tests and Postgres for sites.",
        "I use Postgres for sites and SQLite for tests.",
        "exchanged",
    ),
    ("I use SQLite for tests and Postgres for sites.", "I use Postgres for tests.", "exchanged"),
    (
        "I use SQLite for tests and Postgres for sites.",
        "I use Postgres SQLite tests sites.",
        "exchanged",
    ),
    (
        "I use SQLite for tests and Postgres for sites.",
        "I use SQLite for tests and sites.",
        "exchanged",
    ),
    (
        "Blogs use SQLite tests and wikis use Postgres tests.",
        "Blogs use Postgres tests and wikis use Postgres tests.",
        "exchanged",
    ),
    (
        "I use SQLite for tests and Postgres for sites.",
        "I use Postgres and SQLite for sites.",
        "exchanged",
    ),
]

NEW = [
    ("I moved the files.", "I moved the files overnight.", "new overnight"),
    ("I moved the files.", "I moved the files to Caddy.", "new caddy"),
]
NOT_NEW = [
    ("I moved the files.", "I moved the pictures.", "new files"),
    ("I moved the files.", "I actually moved the files.", "new actually"),
    ("I moved the images.", "I moved the pictures.", "new pictures"),
    ("I moved files.", "I moved to files.", "new to"),
]

OTHERWISE = [
    *(*DONE_BY_ANOTHER, *OF_ANOTHER, *CALLED_BY, *THEN, *IN_ANOTHER_MOOD),
    *(*BOUND, *HEARSAY, *JOINED, *FRONTED, *EXCHANGED, *NEW),
]
ALIKE = [
    *(*BY_THE_SAME, *OF_THE_SAME, *NOT_CALLED_BY, *NOW, *IN_THE_SAME_MOOD),
    *(*NOT_BOUND, *NO_HEARSAY, *NOT_JOINED, *NOT_FRONTED, *NOT_EXCHANGED, *NOT_NEW),
]


@pytest.mark.parametrize(("note", "claim", "objection"), OTHERWISE)
def test_what_is_told_otherwise_is_objected_to_by_its_rule(
    note: str, claim: str, objection: str
) -> None:
    assert objection in objections(note, claim)


@pytest.mark.parametrize(("note", "claim", "objection"), ALIKE)
def test_the_rule_is_silent_where_it_is_told_alike(note: str, claim: str, objection: str) -> None:
    assert not any(objection in each for each in objections(note, claim))


def test_what_is_written_above_the_note_claims_nothing() -> None:
    assert "new blog" in objections("I moved the files.", "I moved the blog files.")
    found = objections("I moved the files.", "I moved the blog files.", about="blog")
    assert "new blog" not in found


def test_two_that_were_exchanged_are_named_once() -> None:
    note = "Dogs chase red cats and wolves hunt white sheep."
    found = objections(note, "Wolves chase red sheep and dogs hunt white cats.")
    assert [each for each in found if each.startswith("exchanged")] == ["exchanged wolves dogs"]
