"""A corpus of dated notes by two authors, made up from a seed: every note says something else."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from llm_engineering.application.datasets.build import build_samples
from llm_engineering.application.datasets.config import DatasetsConfig
from llm_engineering.domain.chat import Message, Role
from llm_engineering.domain.documents import Author, Document, DocumentKind, new_document
from llm_engineering.domain.feedback import Feedback
from llm_engineering.domain.samples import SampleSet
from llm_engineering.infrastructure.memory_documents import MemoryDocumentStore
from llm_engineering.infrastructure.rich_progress import Silent
from llm_engineering.ports.models import ChatModel

ADA, BOB = Author(name="Ada Lovelace"), Author(name="Bob Noyce")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
SMALL = DatasetsConfig(min_train=20, min_held_out=2)


def _words(text: str) -> list[str]:
    return text.split()


_NOUNS = [
    f"{first}{last}"
    for first in _words("bar cor del fin gar hol jas kel lan mor nap pel rus sal tor vin wal zim")
    for last in _words("bin cade dle fort ger house kin lock mill nade pot rick set ton ward yarn")
]
_VERBS = _words("fix polish measure borrow carry paint repair weigh sketch admire wind trace")
_HOW = _words("slowly today twice again outdoors carefully badly gladly rarely together")


def sentence(rng: random.Random) -> str:
    one, other, third = rng.sample(_NOUNS, 3)
    return (
        f"I {rng.choice(_VERBS)} the {one} {rng.choice(_HOW)}, since my {other} won't "
        f"{rng.choice(_VERBS)} a {third} {rng.choice(_HOW)} any more."
    )


def paragraph(rng: random.Random, *, sentences: int = 3) -> str:
    return " ".join(sentence(rng) for _ in range(sentences))


def note(
    number: int,
    *,
    author: Author = ADA,
    published: datetime | None = FIRST,
    text: str | None = None,
    title: str | None = None,
    language: str | None = "en",
) -> Document:
    """A note with two sections, a quotation and some code, `number` weeks after `published`."""
    rng = random.Random(f"{author.name} {number}")
    heading = f"Why {rng.choice(_NOUNS)} number {number}?"
    body = text or (
        f"{paragraph(rng)}\n\n{paragraph(rng, sentences=2)} It needs `kit_{number}` and `tool`.\n\n"
        f"## {heading}\n\n{paragraph(rng)}\n\n> Somebody else said that {sentence(rng)}\n\n"
        f"{paragraph(rng)} Then run this:\n\n```\nmake part_{number}\n```\n"
    )
    return new_document(
        author=author,
        url=f"https://example.org/{author.name.split()[0].lower()}/{number}",
        title=title or f"The {rng.choice(_NOUNS)} of day {number}",
        text=body,
        kind=DocumentKind.NOTE,
        source="files:notes",
        fetched_at=NOW,
        language=language,
        published_at=published + timedelta(weeks=number) if published else None,
    )


def notes(count: int = 40, **fields: object) -> list[Document]:
    return [note(number, **fields) for number in range(count)]  # type: ignore[arg-type]


def held(documents: Sequence[Document]) -> MemoryDocumentStore:
    store = MemoryDocumentStore()
    store.put(documents)
    return store


def built(
    documents: Sequence[Document],
    *,
    config: DatasetsConfig = SMALL,
    teacher: ChatModel | None = None,
    feedback: Sequence[Feedback] = (),
    now: datetime = NOW,
) -> SampleSet:
    return build_samples(
        config,
        store=held(documents),
        teacher=teacher,
        feedback=feedback,
        now=now,
        progress=Silent(),
    )


def full_set() -> SampleSet:
    """All kinds of rows in all splits: pairs with another author, feedback of every kind."""
    others = [note(number, author=BOB) for number in range(60)]
    config = SMALL.model_copy(update={"author": ADA.name})
    return built([*notes(), *others], config=config, feedback=OPINIONS)


OPINIONS = [
    Feedback(
        id=str(number),
        prompt=(Message(role=Role.USER, content=f"What of {number}?"),),
        served="The engine weaves patterns.",
        edit="It has no pretensions." if number % 2 else None,
        by_author=True,
        liked=bool(number % 2),
        model="sft-1",
        created_at=NOW,
    )
    for number in range(40)
]
