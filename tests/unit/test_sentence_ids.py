"""Ids of chunks and sentences: by what they say, never by where it stands."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.application.chunk import ChunkRule, chunk
from llm_engineering.domain.chunks import MAX_SENTENCES, Chunk, SentenceId, chunk_id
from tests.unit.writing import ANY_TEXT, document, word_spans

NUMBERS = st.integers(0, MAX_SENTENCES - 1)


def chunks(text: str, *, url: str = "https://ada.example/note") -> list[Chunk]:
    rule = ChunkRule(max_tokens=24, min_tokens=4)
    (pieces,) = chunk([document(text, url=url)], rule=rule, token_spans=word_spans)
    return pieces


def section(number: int) -> str:
    return f"## Part {number}\n\nThis is what part {number} says of thing{number}, and no more.\n\n"


@given(ANY_TEXT, ANY_TEXT, st.integers(0, 9))
def test_the_last_16_bits_of_a_chunk_are_free(document_id: str, text: str, occurrence: int) -> None:
    key = chunk_id(document_id, text, occurrence)
    assert UUID(key).int & MAX_SENTENCES == 0
    assert str(UUID(key)) == key


@given(ANY_TEXT, NUMBERS)
def test_a_sentence_id_comes_back_from_its_uuid(text: str, number: int) -> None:
    sentence = SentenceId(chunk_id("a", text), number)
    assert SentenceId.of(sentence.uuid()) == sentence
    assert sentence.uuid() != sentence.chunk


@given(st.lists(NUMBERS, unique=True, min_size=2, max_size=20))
def test_sentences_of_one_chunk_have_ids_of_their_own(numbers: list[int]) -> None:
    key = chunk_id("a", "text")
    assert len({SentenceId(key, number).uuid() for number in numbers}) == len(numbers)


def test_what_stands_below_an_insertion_keeps_its_ids() -> None:
    below = "".join(section(n) for n in range(5))
    before, after = chunks(below), chunks(section(9) + below)
    assert [piece.id for piece in after[1:]] == [piece.id for piece in before]
    assert all(new.start > old.start for new, old in zip(after[1:], before, strict=True))


def test_a_changed_chunk_leaves_the_ids_of_the_others() -> None:
    parts = [section(n) for n in range(5)]
    before = [piece.id for piece in chunks("".join(parts))]
    parts[2] = parts[2].replace("no more", "much more")
    after = [piece.id for piece in chunks("".join(parts))]
    changed = [old != new for old, new in zip(before, after, strict=True)]
    assert changed == [False, False, True, False, False]


def test_the_same_words_twice_in_a_document_are_two_chunks() -> None:
    pieces = chunks(section(1) * 3)
    assert len({piece.text for piece in pieces}) == 1
    assert len({piece.id for piece in pieces}) == len(pieces) == 3


def test_the_same_words_in_two_documents_are_two_chunks() -> None:
    (one,), (other,) = chunks(section(1)), chunks(section(1), url="https://ada.example/other")
    assert one.text == other.text
    assert one.id != other.id
