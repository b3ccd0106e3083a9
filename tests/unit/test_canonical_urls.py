"""One spelling per web address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.infrastructure.sources.http.urls import canonical_url, normal_url, page_url


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("HTTPS://Example.ORG/Path", "https://example.org/Path"),
        ("http://example.org:80/a", "http://example.org/a"),
        ("https://example.org:443/a", "https://example.org/a"),
        ("https://example.org:8443/a", "https://example.org:8443/a"),
        ("https://example.org", "https://example.org/"),
        ("https://example.org./a", "https://example.org/a"),
        (" https://example.org/a\n", "https://example.org/a"),
        ("https://example.org/a#part", "https://example.org/a"),
        ("https://example.org/a/../b/./c", "https://example.org/b/c"),
        ("https://example.org/../../a", "https://example.org/a"),
        ("https://example.org/a/b/..", "https://example.org/a/"),
        ("https://example.org/a/", "https://example.org/a/"),
        (
            "https://example.org/web/https://x.example/a",
            "https://example.org/web/https://x.example/a",
        ),
        ("https://example.org/%7eada/%c3%bc%2F", "https://example.org/~ada/%C3%BC%2F"),
        ("https://example.org/ü b", "https://example.org/%C3%BC%20b"),
        ("https://bücher.example/a", "https://xn--bcher-kva.example/a"),
        ("https://[::1]:8080/a", "https://[::1]:8080/a"),
        ("https://example.org/a?utm_source=x&id=1&fbclid=2&gclid=3", "https://example.org/a?id=1"),
        ("https://example.org/a?UTM_medium=x", "https://example.org/a"),
        ("https://example.org/a?b=2&a=1&a=", "https://example.org/a?b=2&a=1&a="),
        ("https://example.org/a?", "https://example.org/a"),
    ],
)
def test_every_spelling_has_one_canonical_form(written: str, canonical: str) -> None:
    assert canonical_url(written) == canonical


@pytest.mark.parametrize(
    "written",
    [
        "ftp://example.org/a",
        "javascript:alert(1)",
        "mailto:ada@example.org",
        "data:text/html,hello",
        "file:///etc/passwd",
        "example.org/a",
        "//example.org/a",
        "https:///a",
        "https://exa mple.org/",
        "https://example..org/",
        "https://example.org:99999/",
        "http://[bad/",
        "",
    ],
)
def test_what_is_no_web_address_is_refused(written: str) -> None:
    with pytest.raises(InvalidInput):
        canonical_url(written)


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(InvalidInput) as raised:
        canonical_url("https://ada:secret@example.org/a")
    assert "secret" not in str(raised.value)


def test_relative_addresses_are_resolved() -> None:
    assert canonical_url("../b?x=1", base="https://example.org/a/c") == "https://example.org/b?x=1"


def test_what_is_asked_for_keeps_its_parameters() -> None:
    assert (
        normal_url("https://example.org/a?utm_source=x#y") == "https://example.org/a?utm_source=x"
    )


@given(path=st.text(), query=st.text())
def test_canonical_addresses_stay_as_they_are(path: str, query: str) -> None:
    try:
        once = canonical_url(f"https://example.org/{path}?{query}")
    except InvalidInput:
        return
    assert canonical_url(once) == once
    assert once.isascii()


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (None, "https://example.org/a?page=2"),
        ("https://example.org/a", "https://example.org/a"),
        ("/a", "https://example.org/a"),
        ("https://www.example.org/a", "https://www.example.org/a"),
        ("https://elsewhere.example/a", "https://example.org/a?page=2"),
        ("https://example.org/", "https://example.org/a?page=2"),
        ("javascript:0", "https://example.org/a?page=2"),
    ],
)
def test_a_declared_address_counts_within_its_site(declared: str | None, expected: str) -> None:
    assert page_url("https://example.org/a?page=2", declared) == expected
