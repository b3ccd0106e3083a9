"""Bytes from the web to text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.infrastructure.sources.reading.encodings import decode, well_formed

TEXT = "It’s “fine” — é"


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (TEXT.encode(), None),
        (TEXT.encode(), "iso-8859-1"),
        (TEXT.encode("utf-8-sig"), "windows-1252"),
        (TEXT.encode("utf-16"), None),
        (TEXT.encode("utf-16-le"), "utf-16le"),
        (TEXT.encode("cp1252"), None),
        (TEXT.encode("cp1252"), "iso-8859-1"),
        (TEXT.encode("cp1252"), "us-ascii"),
        (TEXT.encode("cp1252"), "utf-8"),
        (TEXT.encode("cp1252"), "no-such-charset"),
        (TEXT.encode("cp1252"), "base64"),
    ],
)
def test_quotes_survive_whatever_the_server_says(body: bytes, charset: str | None) -> None:
    assert decode(body, charset=charset) == TEXT


@pytest.mark.parametrize(
    ("declaration", "encoding"),
    [
        ('<meta charset="shift_jis">', "shift_jis"),
        ('<meta http-equiv=Content-Type content="text/html; charset=euc-jp">', "euc-jp"),
        ('<?xml version="1.0" encoding="euc-jp"?>', "euc-jp"),
    ],
)
def test_a_page_may_declare_its_own_encoding(declaration: str, encoding: str) -> None:
    text = declaration + "日本語のテキスト"
    assert decode(text.encode(encoding)) == text


def test_what_http_says_counts_before_what_the_page_says() -> None:
    text = '<meta charset="koi8-r">日本語'
    assert decode(text.encode("euc-jp"), charset="euc-jp") == text


def test_a_cut_page_loses_only_its_last_character() -> None:
    assert decode(TEXT.encode()[:-1]) == TEXT[:-1] + "\ufffd"


@given(st.binary(), st.sampled_from([None, "utf-8", "latin-1", "utf-16", "utf-7", "gb2312", "?"]))
def test_no_bytes_are_ever_refused(body: bytes, charset: str | None) -> None:
    assert "\0" not in decode(body, charset=charset)


def test_lone_surrogates_are_dropped() -> None:
    assert well_formed("a\ud800b’") == "ab’"
