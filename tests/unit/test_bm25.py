"""What a text is found by, and with what weight."""

import pytest

from llm_engineering.infrastructure.bm25 import K1, B, Bm25Encoder, term_index
from llm_engineering.infrastructure.stop_words import STOP_WORDS
from llm_engineering.infrastructure.words import read_word, words

ENCODER = Bm25Encoder(sentence_length=10)


def document(text: str, language: str | None = "en") -> dict[int, float]:
    (vector,) = ENCODER.weigh(ENCODER.count([text], languages=[language]), sentences=1)
    return dict(zip(vector.indices.tolist(), vector.values.tolist(), strict=True))


def asked_for(query: str, language: str | None = None) -> set[int]:
    return set(ENCODER.query(query, language=language).indices.tolist())


def found(query: str, *, in_text: str, asked: str | None = None, language: str = "en") -> bool:
    """Is every term of the query in the text?"""
    terms = asked_for(query, asked)
    return bool(terms) and terms <= document(in_text, language).keys()


def touched(query: str, *, in_text: str, asked: str | None = None, language: str = "en") -> bool:
    """Is any term of the query in the text?"""
    return not document(in_text, language).keys().isdisjoint(asked_for(query, asked))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("sqlite-utils", "Install sqlite-utils first"),
        ("sqlite_utils", "Install sqlite-utils first"),
        ("sqlite", "Install sqlite-utils first"),
        ("utils", "Install sqlite-utils first"),
        ("foo_bar", "call foo_bar() here"),
        ("bar", "call foo_bar() here"),
        ("fooBar", "call foo_bar() here"),
        ("foobar", "call fooBar() here"),
        ("foo", "call fooBar() here"),
        ("server", "an HTTPServer"),
        ("github", "on GitHub"),
        ("--nl", "pass --nl to it"),
        ("nl", "pass `--nl` to it"),
        ("C++", "written in C++."),
        ("C#", "C#, mostly"),
        (".NET", "the .NET runtime"),
        ("node.js", "Node.js runs it"),
        ("sqlite", "import sqlite3"),
        ("3.11", "on Python 3.11."),
        ("email", "by e-mail"),
        ("__init__", "def __init__(self)"),
    ],
)
def test_identifiers_are_found_whole_and_by_part(query: str, text: str) -> None:
    assert found(query, in_text=text)


@pytest.mark.parametrize(
    ("query", "text"),
    [("C++", "written in C"), ("3.11", "in 11 of 3"), ("--nl", "the word newline")],
)
def test_a_whole_identifier_is_more_than_its_parts(query: str, text: str) -> None:
    assert not found(query, in_text=text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("couldn't", "couldn’t"),
        ("O'Reilly", "O’Reilly"),
        ("rock'n'roll", "rock’n’roll"),
        ("café", "cafe\u0301"),
        ("ﬁnally", "finally"),
        ("ＡＢＣ", "abc"),
        ("STRASSE", "straße"),
        ("co\u00adoperate", "cooperate"),
        ("author's", "authors’"),
    ],
)
def test_spellings_that_look_alike_are_one_word(one: str, other: str) -> None:
    assert document(f"my {one} here", None) == document(f"my {other} here", None)


def test_contractions_of_stop_words_are_stop_words() -> None:
    assert document("don't we'll I've you're isn't it's that’s") == {}


def test_elided_articles_leave_the_noun() -> None:
    assert found("auteur", in_text="l'auteur", language="fr", asked="fr")
    assert found("arte", in_text="dell’arte", language="it", asked="it")


def test_inflections_meet_in_their_stem() -> None:
    assert found("run databases", in_text="Running a database")
    assert touched("Haus", in_text="in den Häusern", language="de", asked="de")
    assert touched("installer", in_text="installez-le", language="fr", asked="fr")


def test_without_a_language_text_is_taken_as_english() -> None:
    assert document("Running the databases", None) == document("Running the databases", "en")
    assert found("run", in_text="Running the databases", language="en", asked=None)


@pytest.mark.parametrize("written_in", ["de", "fr", "ru", "ja", "xx", "en-GB"])
@pytest.mark.parametrize("asked", [None, "en", "es", "xx"])
def test_a_query_in_another_language_finds_the_words_both_share(
    written_in: str, asked: str | None
) -> None:
    assert touched(
        "Kubernetes backups", in_text="Kubernetes backups", language=written_in, asked=asked
    )


def test_a_query_without_a_language_has_one_term_per_word() -> None:
    assert len(asked_for("running Häusern quickly")) == 3


def test_two_stop_words_tell_the_language_of_a_query() -> None:
    assert touched("wie sind die Häuser", in_text="ein Haus", language="de")
    assert not touched("Häuser", in_text="ein Haus", language="de")


def test_one_stop_word_tells_no_language() -> None:
    assert term_index("pendant") in asked_for("pendant light")


def test_stop_words_that_two_languages_share_tell_neither() -> None:
    assert len(asked_for("se mas databases")) == 3


def test_question_words_are_stop_words_in_every_language() -> None:
    asked = {"de": "wie", "en": "how", "es": "cómo", "fr": "comment", "it": "come", "nl": "hoe"}
    asked["pt"] = "quando"
    assert asked.keys() == STOP_WORDS.keys()
    assert all(word in STOP_WORDS[language] for language, word in asked.items())


def test_scripts_without_spaces_are_found_by_pairs_of_characters() -> None:
    assert found("東京", in_text="私は東京に住んでいます", language="ja")
    assert not found("京東", in_text="私は東京に住んでいます", language="ja")
    assert found("東", in_text="東 is east", language="ja")


def test_indian_scripts_keep_their_vowels() -> None:
    assert words("हिन्दी में") == ["हिन्दी", "में"]


def test_the_weight_is_that_of_the_formula() -> None:
    weights = document("bread bread oven")
    length_norm = K1 * (1 - B + B * 3 / 10)
    assert weights[term_index("bread")] == pytest.approx(2 * (K1 + 1) / (2 + length_norm))
    assert weights[term_index("oven")] == pytest.approx(1 * (K1 + 1) / (1 + length_norm))


def test_stop_words_and_parts_add_nothing_to_the_length() -> None:
    assert document("the bread")[term_index("bread")] == document("bread")[term_index("bread")]
    plain, compound = document("bread spoon"), document("bread foo_bar")
    assert plain[term_index("bread")] == compound[term_index("bread")]


@pytest.mark.parametrize("sentences", [1, 3, 17])
def test_a_window_is_measured_against_windows_of_as_many_sentences(sentences: int) -> None:
    counts = ENCODER.count(["bread oven flour"], languages=["en"])
    (weights,) = ENCODER.weigh(counts, sentences=sentences)
    expected = (K1 + 1) / (1 + K1 * (1 - B + B * 3 / (10 * sentences)))
    assert weights.values == pytest.approx([expected] * 3)


def test_terms_are_counted_and_words_are_what_makes_the_length() -> None:
    counts = ENCODER.count(["Bread, bread and foo_bar", "the", ""], languages=["en", "en", None])
    ((terms, numbers), (nothing, _), (none, _)) = counts.rows()
    found = dict(zip(terms.tolist(), numbers.tolist(), strict=True))
    expected = {"bread": 2, "foobar": 1, "foo": 1, "bar": 1}
    assert found == {term_index(term): number for term, number in expected.items()}
    assert counts.lengths.tolist() == [3, 0, 0]
    assert len(nothing) == len(none) == 0


def test_the_name_tells_encoders_apart() -> None:
    assert Bm25Encoder(sentence_length=10).name != Bm25Encoder(sentence_length=20).name


def test_dashes_between_words_are_no_option() -> None:
    assert words("so--well -- yes") == ["so", "well", "yes"]


def test_a_word_is_not_listed_twice() -> None:
    assert read_word("foo-foo").terms == ("foofoo", "foo")


def test_data_in_the_text_is_no_word() -> None:
    assert words(f"see {'A' * 501} here") == ["see", "here"]
