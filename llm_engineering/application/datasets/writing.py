"""The documents that samples are made of: one author's, cleaned, each text once.

Does not know: splits, spans, prompts.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from llm_engineering.application.clean import clean
from llm_engineering.application.near_duplicates import link_duplicates, signature
from llm_engineering.domain.documents import Author, Document, DocumentFilter
from llm_engineering.domain.errors import InvalidConfig, NotFound, TooFewSamples
from llm_engineering.ports.stores import DocumentStore

UNDATED = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Writing:
    """Cleaned documents in the order of their dates, the undated last."""

    author: Author
    documents: tuple[Document, ...]
    others: tuple[Document, ...]
    """Of other authors in the store: never targets."""


def collect(
    store: DocumentStore, *, author: str | None, languages: Sequence[str], dropped: Counter[str]
) -> Writing:
    """What the author wrote. What is left out is counted in `dropped` by its reason.

    Raises TooFewSamples for an empty store, NotFound for an author it does not hold,
    InvalidConfig when it holds several and none is named.
    """
    names = sorted({head.author for head in store.heads()})
    chosen = _author(names, author)
    mine = [
        clean(document)
        for name in names
        if Author(name=name).id == chosen.id
        for document in store.find(DocumentFilter(authors=(name,)))
    ]
    kept = tuple(distinct(_in_languages(mine, languages, dropped), dropped))
    return Writing(author=chosen, documents=kept, others=tuple(_others(store, names, chosen)))


def distinct(documents: Sequence[Document], dropped: Counter[str]) -> Iterator[Document]:
    """The documents that say something, by date; of near-duplicate ones the earliest.

    So that no text can stand on both sides of a split.
    """
    ordered = sorted(documents, key=lambda each: (each.published_at or UNDATED, each.id))
    texts = {document.id: document.text for document in ordered}
    signatures = {key: signature(text) for key, text in texts.items()}
    repeated = link_duplicates(texts, texts=texts, signatures=signatures)
    for document in ordered:
        if not signatures[document.id]:
            dropped["document: empty"] += 1
        elif document.id in repeated:
            dropped["document: near-duplicate of another"] += 1
        else:
            yield document


def _author(names: Sequence[str], wanted: str | None) -> Author:
    if not names:
        raise TooFewSamples("no documents to make samples of; collect some with 'twin run etl'")
    people = {Author(name=name).id: Author(name=name) for name in reversed(names)}
    if wanted is not None:
        found = people.get(Author(name=wanted).id)
        if found is None:
            raise NotFound(f"no author {wanted!r}; the store holds {_listed(names)}")
        return found
    if len(people) > 1:
        raise InvalidConfig(
            f"the store holds {_listed(names)}; say whose twin it is with -s author=..."
        )
    return next(iter(people.values()))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _in_languages(
    documents: Sequence[Document], languages: Sequence[str], dropped: Counter[str]
) -> list[Document]:
    kept = [each for each in documents if not languages or each.language in (None, *languages)]
    if len(kept) < len(documents):
        dropped["document: in another language"] += len(documents) - len(kept)
    return kept


def _others(store: DocumentStore, names: Sequence[str], author: Author) -> Iterator[Document]:
    for name in names:
        if Author(name=name).id != author.id:
            yield from map(clean, store.find(DocumentFilter(authors=(name,))))
