"""Of each word it is read who does it, whose it is, who says so, and whether it is so."""

import pytest

from tests.unit.objecting import voice


@pytest.mark.parametrize(
    ("text", "word", "subject", "acts"),
    [
        ("I copy rows.", "copy", "I", True),
        ("We copy rows.", "copy", "I", True),
        ("You copy rows.", "copy", "you", True),
        ("She copies rows.", "copies", "they", True),
        ("It copies rows.", "copies", "it", True),
        # A name or a word before the verb is its subject.
        ("Scripts copy rows.", "copy", "noun", False),
        ("Scripts copy rows.", "scripts", "", False),
        ("Just copy rows.", "copy", "", False),
        ("I know that Bob copies rows.", "copies", "noun", False),
        ("I like 5 rows.", "rows", "noun", False),
        # What is done goes on behind the verb, but not for long.
        ("I copy rows slowly.", "rows", "I", False),
        ("I slowly copy rows.", "slowly", "I", False),
        ("I slowly copy rows.", "copy", "I", True),
        ("I do not copy rows.", "copy", "I", True),
        ("I copy old rows daily.", "rows", "I", False),
        ("I copy old red rows daily.", "rows", "noun", False),
        # A name, and nothing else with a capital, cannot be a verb.
        ("I Postgres it.", "postgres", "I", False),
        ("I `copy` it.", "copy", "I", False),
        # 'You' and 'it' behind a verb are its objects.
        ("Scripts let you copy rows.", "copy", "noun", False),
        ("Scripts let it copy rows.", "copy", "noun", False),
        ("Scripts say I copy rows.", "copy", "I", True),
        ("For now it copies rows.", "copies", "it", True),
        ("I use it daily.", "daily", "I", False),
        ("Scripts ask you daily.", "daily", "noun", False),
        # A clause goes on with the subject of the one before; a sentence does not.
        ("I copy rows and check pages.", "check", "I", False),
        ("Scripts copy rows and check pages.", "check", "noun", False),
        ("I copy rows although check pages.", "check", "I", False),
        ("I copy rows, then check pages.", "check", "I", False),
        ("I copy rows. Check pages.", "check", "", False),
        ("I copy rows! Check pages.", "check", "", False),
        ("I copy rows which fill pages.", "fill", "it", False),
    ],
)
def test_who_does_it(text: str, word: str, subject: str, acts: bool) -> None:
    found = voice(text, word)
    assert (found.subject, found.acts) == (subject, acts)


@pytest.mark.parametrize(
    ("text", "word", "owner"),
    [
        ("I moved my files.", "files", "I"),
        ("My files moved.", "files", "I"),
        ("I moved our old files.", "files", "I"),
        ("I moved your files.", "files", "you"),
        ("I moved their files.", "files", "they"),
        ("I moved its files.", "files", "it"),
        ("I moved Bob's files.", "files", "noun"),
        ("It's full of files.", "full", ""),
        ("I moved my very old files.", "files", ""),
        ("The disk is mine, files are safe.", "files", ""),
        ("The disk is mine: files are safe.", "files", ""),
        ("I moved files.", "files", ""),
    ],
)
def test_whose_it_is_by_the_two_words_before(text: str, word: str, owner: str) -> None:
    assert voice(text, word).owner == owner


@pytest.mark.parametrize(
    ("text", "word", "to"),
    [
        ("Bob asked me.", "asked", "I"),
        ("Bob asked me", "asked", "I"),
        ("Bob asked us again.", "asked", "I"),
        ("Bob asked you.", "asked", "you"),
        ("Bob asked them.", "asked", "they"),
        ("Bob asked it.", "asked", "it"),
        ("Bob asked again.", "asked", ""),
        ("Bob asked `me` again.", "asked", ""),
        ("Bob asked", "asked", ""),
    ],
)
def test_to_whom_by_the_word_behind(text: str, word: str, to: str) -> None:
    assert voice(text, word).object == to


@pytest.mark.parametrize(
    ("text", "word", "direction"),
    [
        ("I moved from Heroku.", "heroku", "from"),
        ("I moved to Heroku.", "heroku", "to"),
        ("To disks I moved pages.", "disks", "to"),
        ("I work without tests.", "tests", "without"),
        ("It is called by lexers.", "lexers", "by"),
        ("I moved to my old disk.", "disk", "to"),
        ("I moved to my old red disk.", "disk", ""),
        ("I moved from tapes to disks.", "disks", "to"),
        ("I moved to tapes, disks failed.", "disks", ""),
        ("I moved to tapes and disks failed.", "disks", ""),
        ("I moved disks.", "disks", ""),
    ],
)
def test_the_direction_of_a_word_by_the_three_before(text: str, word: str, direction: str) -> None:
    assert voice(text, word).direction == direction


@pytest.mark.parametrize(
    ("text", "word", "bound"),
    [
        ("It takes over 40 minutes.", "40", "over"),
        ("Over 40 minutes passed.", "40", "over"),
        ("It takes under 40 minutes.", "40", "under"),
        ("It takes at least 40 minutes.", "40", "least"),
        ("It takes at most 40 minutes.", "40", "most"),
        ("It takes more than 40 minutes.", "40", "than"),
        ("It takes up to 40 minutes.", "40", "up"),
        ("It takes almost 40 minutes.", "40", "almost"),
        ("It is over by 40 minutes.", "40", "over"),
        ("It is over in about 40 minutes.", "40", ""),
        ("It takes 40 minutes.", "40", ""),
        ("It takes over forty minutes.", "minutes", ""),
    ],
)
def test_the_bound_of_a_number_by_the_two_words_before(text: str, word: str, bound: str) -> None:
    assert voice(text, word).bound == bound


@pytest.mark.parametrize(
    ("text", "tense"),
    [
        ("The blog was on Django.", "past"),
        ("I did not run the blog.", "past"),
        ("The blog is on Django.", "present"),
        ("I don't run the blog.", "present"),
        ("I'm sure of the blog.", "present"),
        ("We're sure of the blog.", "present"),
        ("We've run the blog.", "present"),
        ("It's on the blog.", "present"),
        ("I saw Bob's blog.", ""),
        ("I ran the blog.", ""),
        ("I had what is now the blog.", ""),
        ("I ran `is` on the blog.", ""),
        ("The disk was full, I ran the blog.", ""),
    ],
)
def test_when_it_is_so_where_a_small_word_of_the_clause_tells(text: str, tense: str) -> None:
    assert voice(text, "blog").tense == tense


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("Bob says that the crawler sleeps.", True),
        ("Bob told me the crawler sleeps.", True),
        ("I say that the crawler sleeps.", False),
        ("I told Bob that the crawler sleeps.", False),
        ("I was told that the crawler sleeps.", True),
        ("I heard that the crawler sleeps.", True),
        ("I moved, according to Bob, the crawler.", True),
        ("I am saying that the crawler sleeps.", False),
        ("According to me, the crawler sleeps.", True),
        ("Bob knows that the crawler sleeps.", False),
        ("`says` prints that the crawler sleeps.", False),
        # To write may be to make: 'Bob wrote the crawler'.
        ("Bob wrote that the crawler sleeps.", True),
        ("I wrote that the crawler sleeps.", False),
        ("Bob wrote the crawler.", False),
        ("Bob wrote crawler", False),
        ("Bob writes the crawler.", False),
        ("Notes written for the crawler.", False),
        # Up to the end of the sentence, or until the author speaks again.
        ("Bob says no. The crawler sleeps.", False),
        ("Bob says no… The crawler sleeps.", False),
        ("Bob told me, and Alice agreed, the crawler sleeps.", True),
        ("Bob says no, I know the crawler sleeps.", False),
        ("Bob says no, so we know the crawler sleeps.", False),
        ("Bob says no and I know the crawler sleeps.", False),
        ("Bob says no but I know the crawler sleeps.", False),
        ("Bob says that I know the crawler sleeps.", True),
        ("Bob says no, you know the crawler sleeps.", True),
        # What stands before ', says Bob'.
        ("The crawler sleeps, says Bob.", True),
        ("Crawler sleeps, says Bob.", True),
        ("It is done. Crawler sleeps, says Bob.", True),
        ("The crawler sleeps, I say", False),
        ("All is well. The crawler sleeps, says Bob.", True),
        ("The crawler sleeps. It is, says Bob, old.", False),
        ("The crawler sleeps and Bob says so.", False),
        # Four words between quotation marks are speech.
        ("“All the crawler does”.", True),
        ("“All the crawler does”", True),
        ("Now “all the crawler does”.", True),
        ("“All the, crawler”.", False),
        ("It is “quite large and old”, the crawler.", False),
        ("“It is quite large” and “the crawler”.", False),
        ("“It is” and “all the crawler does”.", True),
        ("“It is now” and “all the crawler”.", False),
        ("“The old crawler.”", False),
    ],
)
def test_what_somebody_else_says(text: str, reported: bool) -> None:
    assert voice(text, "crawler").reported is reported
