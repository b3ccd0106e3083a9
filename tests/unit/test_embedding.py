"""Vectors depend on what a document says, never on what else is embedded with it."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from llm_engineering.application.chunk import ChunkRule, chunk
from llm_engineering.application.clean import clean
from llm_engineering.application.embedding import encoded, fingerprints, stretches, windowed
from llm_engineering.application.windows import DENSE_WINDOWS, REACH, SPARSE_WINDOWS
from llm_engineering.domain.chunks import Chunk, IndexEntry, chunk_id
from llm_engineering.domain.documents import Document
from llm_engineering.domain.vectors import EmbeddedChunk, SparseVector
from llm_engineering.infrastructure.bm25 import Bm25Encoder
from llm_engineering.infrastructure.hash_embedder import HashEmbedder
from tests.unit.writing import MARKDOWN, document, word_spans

RULE = ChunkRule(max_tokens=32, min_tokens=4)


class Listening(HashEmbedder):
    """Keeps the texts that it embeds."""

    def __init__(self) -> None:
        super().__init__(dimension=32)
        self.heard: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.heard += texts
        return super().embed(texts)


def cut(of: Document) -> list[Chunk]:
    (pieces,) = chunk([clean(of)], rule=RULE, token_spans=word_spans)
    return pieces


def entries(chunks: Sequence[Chunk]) -> list[IndexEntry]:
    return [
        IndexEntry(chunk=each, content_hash="", signature="", fingerprint=fingerprint)
        for each, fingerprint in zip(chunks, fingerprints(chunks), strict=True)
    ]


def embed(
    *documents: Sequence[Chunk],
    only: Sequence[Chunk] | None = None,
    sentences: int = 4_096,
    prefixed: bool = False,
    embedder: HashEmbedder | None = None,
) -> dict[str, EmbeddedChunk]:
    """Chunks with vectors by id: all of the documents', or `only` some."""
    inside = None if only is None else {each.id for each in only}
    wanted = [
        entry
        for chunks in documents
        for entry in entries(chunks)
        if inside is None or entry.chunk.id in inside
    ]
    by_document = {chunks[0].document.id: chunks for chunks in documents if chunks}
    reader = embedder or HashEmbedder(dimension=32)
    made = [
        each
        for batch in stretches(wanted, documents=by_document, sentences=sentences)
        for each in windowed(
            encoded(batch, embedder=reader, prefixed=prefixed), sparse=Bm25Encoder()
        )
    ]
    assert [each.entry for each in made] == wanted
    return {each.entry.chunk.id: each for each in made}


def values(of: EmbeddedChunk) -> Mapping[str, object]:
    """The vectors, to be compared exactly."""

    def plain(vectors: Sequence[SparseVector]) -> list[tuple[list[int], list[float]]]:
        return [(each.indices.tolist(), each.values.tolist()) for each in vectors]

    return {name: rows.tolist() for name, rows in of.dense.items()} | {
        name: plain(vectors) for name, vectors in of.sparse.items()
    }


def all_values(made: Mapping[str, EmbeddedChunk]) -> dict[str, Mapping[str, object]]:
    return {key: values(each) for key, each in made.items()}


def sentence(number: int) -> str:
    return f"Sentence {number} says what thing{number} has to do with place{number * 7}."


def long_text(*, changed: int | None = None, size: int = 200) -> str:
    """Prose without headings; one sentence may be another than usual."""
    return "\n\n".join(
        "Something else altogether is said in this place." if n == changed else sentence(n)
        for n in range(size)
    )


def sentences_of(chunks: Sequence[Chunk]) -> list[str]:
    return [
        each.text[start - each.start : end - each.start]
        for each in chunks
        for start, end in each.sentences
    ]


def reaching(chunks: Sequence[Chunk], row: int) -> set[str]:
    """Ids of the chunks of which a window takes in the document's sentence `row`."""
    found, at = set(), 0
    for each in chunks:
        last = at + len(each.sentences) - 1
        if at - REACH <= row <= last + REACH:
            found.add(each.id)
        at = last + 1
    return found


def changed_fingerprints(before: Sequence[Chunk], after: Sequence[Chunk]) -> set[str]:
    """Ids of `after` that are new or have another fingerprint."""
    old = dict(zip((each.id for each in before), fingerprints(before), strict=True))
    new = dict(zip((each.id for each in after), fingerprints(after), strict=True))
    return {key for key, fingerprint in new.items() if old.get(key) != fingerprint}


NOTE = document(
    "# Bread\n\nFlour and water are all it takes. Then you wait.\n\n```\nbake()\nbake()\n```\n\n"
    "## Ovens\n\nAn oven must be hot. Mine never is, and so I wait again.\n\n"
    "- a list of flours\n- of two kinds\n"
)
OTHER = document(long_text(size=60), url="https://ada.example/long", title="Long")
GERMAN = document("Häuser und Türme.", url="https://ada.example/de", title="Häuser", language="de")
TITLED_ALIKE = document("Nothing but words.", url="https://ada.example/en", title="Häuser")


@pytest.mark.parametrize("prefixed", [False, True])
def test_every_sentence_has_every_vector(prefixed: bool) -> None:
    chunks = cut(NOTE)
    made = embed(chunks, prefixed=prefixed)
    assert list(made) == [each.id for each in chunks]
    for each in chunks:
        size = len(each.sentences)
        dense, sparse = made[each.id].dense, made[each.id].sparse
        assert {name: rows.shape for name, rows in dense.items()} == dict.fromkeys(
            DENSE_WINDOWS, (size, 32)
        )
        assert {name: len(rows) for name, rows in sparse.items()} == dict.fromkeys(
            SPARSE_WINDOWS, size
        )
        for rows in dense.values():
            assert np.linalg.norm(rows, axis=1) == pytest.approx(1)


@pytest.mark.parametrize("prefixed", [False, True])
@pytest.mark.parametrize("sentences", [1, 7, 4_096])
def test_vectors_do_not_depend_on_the_batch(sentences: int, prefixed: bool) -> None:
    documents = [cut(each) for each in (NOTE, OTHER, GERMAN, TITLED_ALIKE)]
    together = embed(*documents, sentences=sentences, prefixed=prefixed)
    alone = [embed(each, prefixed=prefixed) for each in documents]
    assert all_values(together) == {
        key: value for each in alone for key, value in all_values(each).items()
    }


@given(text=MARKDOWN, data=st.data())
def test_some_chunks_embedded_by_themselves_get_the_vectors_they_have_in_the_whole(
    text: str, data: st.DataObject
) -> None:
    chunks = cut(document(text))
    only = [each for each in chunks if data.draw(st.booleans())]
    size = data.draw(st.sampled_from([1, 5, 4_096]))
    whole = all_values(embed(chunks))
    assert all_values(embed(chunks, only=only, sentences=size)) == {
        each.id: whole[each.id] for each in only
    }


def test_a_stretch_of_a_long_document_gets_the_vectors_it_has_in_the_whole() -> None:
    chunks = cut(document(long_text()))
    only = [chunks[0], *chunks[40:43], chunks[90], chunks[-1]]
    whole = all_values(embed(chunks))
    assert all_values(embed(chunks, only=only)) == {each.id: whole[each.id] for each in only}


def test_only_sentences_in_reach_of_what_is_wanted_are_encoded() -> None:
    chunks = cut(document(long_text()))
    wanted = chunks[len(chunks) // 2]
    embedder = Listening()
    embed(chunks, only=[wanted], embedder=embedder)
    every = sentences_of(chunks)
    first = every.index(sentences_of([wanted])[0])
    reached = every[first - REACH : first + len(wanted.sentences) + REACH]
    spare = 2 * (max(len(each.sentences) for each in chunks) - 1)
    assert set(reached) < set(embedder.heard)
    assert len(embedder.heard) <= len(reached) + spare + len(["the title"]) < len(every) / 2


def test_what_is_said_twice_is_encoded_once() -> None:
    said = "# The same heading\n\nOne thing is said here.\n\n"
    embedder = Listening()
    chunks = cut(document(said * 3 + "And another is said.", title="The same heading"))
    embed(chunks, embedder=embedder)
    every = sentences_of(chunks)
    assert len(every) > len(set(every)) >= 3
    assert sorted(embedder.heard) == sorted({*every, "The same heading"})


def test_prefixed_sentences_are_encoded_below_their_headings() -> None:
    plain, prefixed = Listening(), Listening()
    chunks = cut(NOTE)
    embed(chunks, embedder=plain)
    embed(chunks, embedder=prefixed, prefixed=True)
    assert "- of two kinds\n" not in prefixed.heard
    (below,) = [text for text in prefixed.heard if text.endswith("- of two kinds")]
    assert below == "A note\nBread\nOvens\n- of two kinds"
    assert [text for text in plain.heard if text.endswith("- of two kinds")] == ["- of two kinds"]


def test_windows_hold_the_terms_of_the_headings() -> None:
    (untold,) = embed(cut(document("It takes an hour.", title="Sundials"))).values()
    (term,) = Bm25Encoder().query("sundials").indices
    assert all(term in untold.sparse[name][0].indices for name in SPARSE_WINDOWS)


def test_an_unchanged_document_keeps_its_fingerprints() -> None:
    before, after = cut(NOTE), cut(NOTE)
    assert changed_fingerprints(before, after) == set()
    assert len(set(fingerprints(before))) == len(before) > 1


@pytest.mark.parametrize("changed", [0, 1, 57, 100, 198, 199])
def test_a_change_alters_the_fingerprints_of_the_chunks_that_reach_it(changed: int) -> None:
    before, after = cut(document(long_text())), cut(document(long_text(changed=changed)))
    assert "Something else" in sentences_of(after)[changed]
    assert changed_fingerprints(before, after) == reaching(after, changed)
    assert len(reaching(after, changed)) < len(after) / 2


@pytest.mark.parametrize("changed", [0, 57, 199])
def test_equal_fingerprints_mean_equal_vectors(changed: int) -> None:
    before, after = cut(document(long_text())), cut(document(long_text(changed=changed)))
    altered = changed_fingerprints(before, after)
    old, new = all_values(embed(before)), all_values(embed(after))
    kept = old.keys() & new.keys() - altered
    assert kept
    assert all(old[key] == new[key] for key in kept)
    assert any(old[key] != new[key] for key in altered & old.keys())


def test_an_insertion_above_alters_the_fingerprints_of_the_chunks_that_reach_it() -> None:
    below = "# Old\n\n" + long_text(size=100)
    added = f"# New\n\n{sentence(900)} {sentence(901)}\n\n"
    before, after = cut(document(below)), cut(document(added + below))
    assert [each.id for each in after[1:]] == [each.id for each in before]
    last = len(after[0].sentences) - 1
    assert changed_fingerprints(before, after) == reaching(after, last)
    assert len(reaching(after, last)) < len(after) / 2


@pytest.mark.parametrize(
    "changes", [{"title": "Another title"}, {"language": "de"}, {"language": None}]
)
def test_a_new_title_or_language_alters_every_fingerprint(changes: dict[str, str | None]) -> None:
    make = partial(document, NOTE.text)
    before, after = cut(make()), cut(make(**changes))  # type: ignore[arg-type]
    assert [each.id for each in before] == [each.id for each in after]
    assert changed_fingerprints(before, after) == {each.id for each in after}


def test_a_new_date_or_tag_alters_no_fingerprint() -> None:
    before, after = cut(NOTE), cut(document(NOTE.text, tags=("bread",)))
    assert changed_fingerprints(before, after) == set()


def test_a_new_heading_alters_the_fingerprints_below_it() -> None:
    below = "## Below\n\n" + long_text(size=60)
    before = cut(document(f"# One\n\n{sentence(300)} {sentence(301)}\n\n{below}"))
    after = cut(document(f"# Two\n\n{sentence(300)} {sentence(301)}\n\n{below}"))
    under = {each.id for each in after if each.heading_path[:1] == ("Two",)}
    assert changed_fingerprints(before, after) == under
    assert len(under) > 3


def headed(*sizes: int) -> list[Chunk]:
    """Chunks of one sentence a word, under alternating headings."""
    whole = document(" ".join(f"w{n}." for n in range(sum(sizes))))
    chunks, at, number = [], 0, 0
    for place, size in enumerate(sizes):
        text = "".join(f"w{number + n}. " for n in range(size))
        cuts = [at]
        for n in range(size):
            cuts.append(cuts[-1] + len(f"w{number + n}. "))
        chunks.append(
            Chunk(
                id=chunk_id(whole.id, text),
                document=whole.ref(),
                start=at,
                end=cuts[-1],
                text=text,
                heading_path=(("Top", "Left", "Right")[place],),
                sentences=tuple(pairwise(cuts)),
            )
        )
        at, number = cuts[-1], number + size
    return chunks


def test_neighbours_that_moved_below_another_heading_alter_the_fingerprint() -> None:
    before, after = headed(3, 4, 20), headed(3, 2, 22)
    assert before[0] == after[0]
    old, new = (all_values(embed(each))[before[0].id] for each in (before, after))
    assert old != new
    assert before[0].id in changed_fingerprints(before, after)
