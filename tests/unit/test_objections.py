"""Each rule objects by its own name, and not to what is nearly the same.

The verdict alone would not tell them apart: where one of them is silent, another may refuse.
"""

import pytest

from tests.unit.objecting import objections

MISSING = [
    ("I use 3 servers.", "I use 2 servers.", "number 2"),
    ("I use 3 servers.", "I use 3 disks.", "number 3"),
    ("I use three servers.", "I use 2 servers.", "number 2"),
    ("I use three servers.", "I use three disks.", "number three"),
    ("It takes 5ms.", "It takes 5s.", "number 5"),
    ("It takes 5 ms.", "It takes 5s.", "number 5"),
    ("It takes 5ms.", "It takes 5 rows.", "number 5"),
    ("It takes 5ms.", "It takes 5", "number 5"),
    ("It costs 5 dollars now.", "It costs €5 now.", "number €5"),
    ("I set it to `5000` rows.", "I set it to 5000 rows.", "number 5000"),
    ("I moved rows to Caddy.", "I moved rows to Apache.", "name apache"),
    ("I moved rows to Caddy.", "I moved rows to `nginx`.", "name nginx"),
]
NOT_MISSING = [
    ("I use 3 servers.", "I use three servers.", "number"),
    ("I use 3 folders.", "I use 3 directories.", "number"),
    ("I use 3 servers.", "I use 3.", "number"),
    ("I use 3.", "I use 3 servers.", "number"),
    ("I use 3 servers.", "Of all servers I use 3, disks failed.", "number"),
    ("I count 3 4 5.", "I count 3 5.", "number"),
    ("I count 3 to servers.", "I count 3 servers.", "number"),
    ("I use 2 disks and 3 servers.", "I use 3 servers.", "number"),
    ("I use 3 disks and 3 servers.", "I use 3 servers.", "number"),
    ("It takes 5 ms.", "It takes 5ms.", "number"),
    ("It costs $5 now.", "It costs 5 dollars now.", "number"),
    ("I need twice the disk.", "I need twice disk space.", "number"),
    ("I need twice disk space.", "I need twice space.", "number"),
    ("I read hundreds lines.", "I read hundreds pages.", "number"),
    ("I moved rows to Caddy.", "I moved rows to Caddy.", "name"),
    ("I moved rows to Caddy.", "I moved pages to Caddy.", "name"),
]

TURNED = [
    ("I don't use an ORM.", "I use an ORM.", "denied orm"),
    ("I use an ORM.", "I don't use an ORM.", "denied orm"),
    ("The cache makes reads fast.", "The cache makes reads slow.", "opposed slow"),
    ("The cache is inside.", "The cache is outside.", "opposed outside"),
]
NOT_TURNED = [
    ("I don't use an ORM.", "I don't use an ORM.", "denied"),
    ("I don't use it.", "I use it.", "denied"),
    ("I don't use an ORM. I use an ORM for scripts.", "I use an ORM.", "denied"),
    ("I don't use an ORM.", "I use disks.", "denied"),
    ("The cache makes reads fast.", "The cache makes reads warm.", "opposed"),
    ("The cache makes reads.", "The cache makes slow reads.", "opposed"),
    ("The cache is fast, disks are slow.", "The disks are slow.", "opposed"),
    ("I work on it.", "It breaks then.", "opposed work"),
    ("It fails.", "It works.", "opposed works"),
]

UNSAID = [
    ("I enable WAL mode.", "I always enable WAL mode.", "added always"),
    ("I enable WAL mode.", "I enable WAL mode because of it.", "added because"),
    ("I enable WAL. I always drink tea.", "I always enable WAL.", "added always"),
    ("I enable WAL. I always set WAL.", "I always enable WAL.", "added always"),
    ("I always use it this way.", "I always use it another way.", "added always"),
    ("It takes about 5 minutes.", "It takes 5 minutes.", "dropped approximately"),
    ("I enable WAL to pages. I always go to WAL.", "I always enable WAL to pages.", "added always"),
]
SAID = [
    ("I always enable WAL mode.", "I always enable WAL mode.", "added"),
    ("I always enable WAL.", "I always permit WAL.", "added"),
    ("I enable WAL mode.", "I also perhaps enable WAL mode.", "added"),
    ("I enable WAL mode.", "I enable WAL mode if it is about 5 minutes.", "added"),
    ("I enable WAL mode.", "I enable WAL mode while 5 wait.", "added"),
    ("It takes about 5 minutes.", "It takes roughly 5 minutes.", "dropped"),
    ("It takes 5 minutes.", "It takes 5 minutes.", "dropped"),
    ("It takes about 5 minutes.", "It takes minutes.", "dropped"),
    ("I wait 5 minutes. I roughly know rows.", "I wait 5 minutes.", "dropped"),
    ("Disks take about 5 minutes.", "Disks take minutes.", "dropped"),
]

DOUBTED = [
    ("Vacuum probably needs disks.", "Vacuum needs disks.", "not hedged vacuum"),
    ("If it fails, the worker retries it.", "The worker retries.", "not conditioned worker"),
    ("If it fails, the worker retries it.", "The worker may retry.", "not conditioned worker"),
    ("Vacuum probably needs disks.", "If rows fail, vacuum needs disks.", "not hedged vacuum"),
]
NO_DOUBT = [
    ("Vacuum probably needs disks.", "Vacuum probably needs disks.", "not hedged"),
    ("Vacuum probably needs disks.", "Perhaps vacuum needs disks.", "not hedged"),
    ("Vacuum probably needs it. Vacuum needs disks.", "Vacuum needs disks.", "not hedged"),
    ("Vacuum probably runs, rows need disks.", "Vacuum needs disks.", "not hedged"),
    ("Vacuum probably needs it.", "Vacuum needs it.", "not hedged"),
    ("Vacuum probably needs disks.", "Rows need tapes.", "not hedged"),
    ("If it fails, the worker retries it.", "If rows, worker retries.", "not conditioned"),
    ("If it fails, workers retry. I sleep.", "Workers retry, I sleep, if it fails.", "not cond"),
    ("Unless it fails, the worker retries.", "So the worker retries unless.", "not conditioned"),
    ("Vacuum probably goes to it.", "Vacuum goes to it.", "not hedged"),
]

IN_ANOTHER_ORDER = [
    ("I moved from Caddy to Nginx.", "I moved from Nginx to Caddy.", "order nginx caddy"),
    ("I count 3 disks and 5 rows.", "I count 5 rows 3 disks.", "order 5 3"),
    ("I use Caddy and Nginx.", "I first use Nginx, Caddy.", "order nginx caddy"),
    ("Reads are fast, writes slow.", "Reads are slow, writes fast.", "order slow fast"),
]
IN_ORDER = [
    ("I moved from Caddy to Nginx.", "I moved from Caddy to Nginx.", "order"),
    ("I use Caddy and Nginx.", "I use Nginx and Caddy.", "order"),
    ("Caddy and Nginx and Caddy run.", "Nginx Caddy run.", "order"),
    ("Caddy runs Caddy.", "Caddy runs Caddy.", "order"),
    ("Reads are fast.", "Fast are reads.", "order"),
    ("Pages and disks run.", "Disks pages run.", "order"),
    ("Caddy runs rows.", "Rows Caddy runs Nginx.", "order"),
    ("Rows are fast, disks are slow.", "Rows are fast quick.", "order fast"),
]

BESIDE_OTHERS = [
    (
        "Reads take 5 ms on this old and very noisy red disk, while writes take 40 ms.",
        "Reads take 40 ms.",
        "beside reads 40",
    ),
    (
        "Reads need 5 ms on this old noisy red metal disk, writes need 40 ms.",
        "Reads need 40 ms.",
        "beside 40 reads",
    ),
]
BESIDE_THE_SAME = [
    (
        "Reads take 5 ms on this old and very noisy red disk, while writes take 40 ms.",
        "Writes take 40 ms.",
        "beside",
    ),
    (
        "The Caddy has old noisy red metal disks, rows moved there.",
        "The Caddy rows moved.",
        "beside",
    ),
    (
        "Pages are on this old noisy red metal disk, rows moved there.",
        "Pages rows moved.",
        "beside",
    ),
    ("One old noisy red disk 40 rows.", "Old 40 rows.", "beside"),
    ("Rows are old noisy red metal 40 boxes.", "Rows 40 boxes.", "beside"),
]

REPLACED = [
    ("Nightly jobs copy photos.", "Nightly scripts copy photos.", "scripts in place of jobs"),
    ("Nightly jobs copy photos.", "Weekly jobs copy photos.", "weekly in place of nightly"),
    ("Nightly jobs copy photos.", "Nightly jobs copy rows.", "rows in place of photos"),
    ("It runs, jobs copy photos.", "It runs, scripts copy photos.", "scripts in place of jobs"),
    ("Jobs copy photos, it runs.", "Jobs copy rows, it runs.", "rows in place of photos"),
    (
        "Nightly jobs simply copy photos.",
        "Nightly scripts copy photos.",
        "scripts in place of jobs",
    ),
    ("Nightly jobs copy photos.", "Nightly jobs print photos.", "print in place of copy"),
    (
        "Nightly jobs copy photos.",
        "Nightly scripts simply copy photos.",
        "scripts in place of jobs",
    ),
    ("It runs, jobs copy photos.", "Rows sleep, scripts copy photos.", "scripts in place of jobs"),
    ("Jobs run.", "Scripts run.", "scripts in place of jobs"),
]
NOT_REPLACED = [
    ("Nightly jobs copy photos.", "Nightly jobs copy photos.", "in place of"),
    ("Nightly jobs copy photos.", "Nightly jobs often copy photos.", "in place of"),
    ("Nightly jobs copy photos.", "Nightly jobs copy photos today.", "in place of"),
    ("Nightly jobs copy photos.", "Today nightly jobs copy photos.", "in place of"),
    ("Nightly jobs copy photos.", "Photos rows copy jobs.", "in place of"),
    ("Nightly jobs copy photos.", "Nightly scripts move photos.", "in place of"),
    ("Nightly jobs copy photos.", "Rows.", "in place of"),
    ("Nightly jobs copy photos.", "Nightly use copy photos.", "in place of"),
    ("Nightly jobs copy photos, rows run.", "Nightly jobs copy pages run.", "in place of"),
    ("Nightly jobs copy photos of scripts.", "Nightly scripts copy photos.", "in place of"),
    ("Nightly jobs copy photos.", "Nightly scripts copy jobs photos.", "in place of"),
    ("Nightly jobs copy photos.", "Weekly scripts jobs copy photos.", "in place of"),
    ("It runs, jobs.", "It runs, scripts.", "in place of"),
    ("Nightly jobs copy photos.", "Nightly jobs copy rows tapes.", "in place of"),
]

TURNED_AROUND = [
    ("Rows moved to disks.", "Disks moved to rows.", "turned around to"),
    ("Rows moved from disks.", "Disks moved from rows.", "turned around from"),
    ("Rows run over disks.", "Disks run over rows.", "turned around over"),
    ("Up rows moved to disks.", "Disks up to rows.", "turned around to"),
    ("Rows go to disks.", "Disks to rows.", "turned around to"),
    ("Rows go to disks.", "Disks go to rows.", "turned around to"),
]
NOT_TURNED_AROUND = [
    ("Rows moved to disks.", "Rows moved to disks.", "turned around"),
    ("Rows moved to disks.", "Moved disks beside rows.", "turned around"),
    ("Rows moved to disks.", "To rows disks moved.", "turned around"),
    ("Rows moved to disks and rows.", "Disks moved to rows.", "turned around"),
    ("Rows moved to disks.", "Disks, to rows moved.", "turned around"),
    ("Rows moved to disks.", "I use it to rows moved.", "turned around"),
    ("Rows moved to disks.", "Pages went to rows moved.", "turned around"),
    ("Rows moved.", "Rows to rows.", "turned around"),
]

OTHERWISE = [
    *(*MISSING, *TURNED, *UNSAID, *DOUBTED, *IN_ANOTHER_ORDER),
    *(*BESIDE_OTHERS, *REPLACED, *TURNED_AROUND),
]
ALIKE = [
    *(*NOT_MISSING, *NOT_TURNED, *SAID, *NO_DOUBT, *IN_ORDER),
    *(*BESIDE_THE_SAME, *NOT_REPLACED, *NOT_TURNED_AROUND),
]


@pytest.mark.parametrize(("note", "claim", "objection"), OTHERWISE)
def test_what_is_said_otherwise_is_objected_to_by_its_rule(
    note: str, claim: str, objection: str
) -> None:
    assert objection in objections(note, claim)


@pytest.mark.parametrize(("note", "claim", "objection"), ALIKE)
def test_the_rule_is_silent_where_it_is_said_alike(note: str, claim: str, objection: str) -> None:
    assert not any(objection in each for each in objections(note, claim))


def test_a_name_from_above_the_note_claims_nothing() -> None:
    assert "name caddy" in objections("I moved the files.", "I moved the Caddy files.")
    found = objections("I moved the files.", "I moved the Caddy files.", about="caddy")
    assert "name caddy" not in found


def test_a_word_from_above_the_note_replaces_none() -> None:
    note, claim = "Nightly jobs copy photos.", "Nightly scripts copy photos."
    found = objections(note, claim, about="scripts")
    assert "scripts in place of jobs" not in found
