"""HTML pages to Markdown: structure, characters and metadata survive, furniture does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_engineering.domain.errors import SourceFailed
from llm_engineering.infrastructure.sources.reading.extraction import Page, extract_page
from llm_engineering.infrastructure.sources.reading.html_markdown import fragment_to_markdown

URL = "https://ada.example/2024/on-parsing"
LEAD = "I’ve always thought that parsing is fun, and it’s harder than it looks at first sight."
END = "That’s all there is to say about parsing; thank you for reading until the very end."

BLOG = f"""<!doctype html><html lang="en-GB"><head><title>On parsing – Ada’s blog</title>
<link rel="canonical" href="/2024/on-parsing"><meta property="og:title" content="On parsing">
<script type="application/ld+json">{{"@context": "https://schema.org", "@type": "BlogPosting",
 "datePublished": "2024-03-05T23:30:00-05:00",
 "author": {{"@type": "Person", "name": "Grace Hopper"}}}}</script></head>
<body><div class="cookie-consent"><p>We use cookies to make this page better for you and for us,
and by reading on you accept our cookie policy.</p><button>Accept all</button></div>
<header><nav><ul><li><a href="/">Home</a></li><li><a href="/login">Sign in</a></li></ul></nav>
</header>
<main><article><header><h1>On parsing</h1><div class="entry-meta">Posted by
<a href="/ada">Ada</a> · 5 min read</div></header>
<div class="share-bar"><a href="https://social.example/">Share this post</a></div>
<p>{LEAD}</p>
<h2 id="code">Code first</h2>
<figure><pre><code class="language-python">def f(x):
    if x:

        return "a &lt; b"


    return None
</code></pre><figcaption>Listing 1: a function</figcaption></figure>
<div class="newsletter-signup"><h4>Enjoying this?</h4><p>Get new posts by email, no spam, and
unsubscribe whenever you want to.</p></div>
<p>“Quotes” and 'single' ones don't get lost — <em>nor</em> does <strong>emphasis</strong>, nor
<code>inline_code()</code>, nor <a href="../about">a link</a>.</p>
<ol><li>One</li><li>Two<ul><li>Nested</li><li><p>With a paragraph</p><p>and another</p></li></ul>
</li></ol>
<blockquote><p>Quoted words.</p><p>More of them.</p></blockquote>
<table><thead><tr><th>Name</th><th>Value</th></tr></thead>
<tbody><tr><td>a|b</td><td><code>1</code></td></tr></tbody></table>
<dl><dt>Term</dt><dd>It’s a definition.</dd></dl>
<p>{END}</p></article>
<footer>Filed under <a rel="tag" href="/t/python">python</a></footer>
<section id="comments"><h2>2 comments</h2><ol><li><p>Great post! But what about regular expressions,
don’t they do all of this as well, and in fewer lines?</p></li></ol></section>
<aside><h3>Related posts</h3><ul><li><a href="/x">On lexing</a></li></ul></aside></main>
<footer>© 2024 Ada. Privacy policy.</footer></body></html>"""

BLOG_TEXT = f"""# On parsing

{LEAD}

## Code first

```python
def f(x):
    if x:

        return "a < b"


    return None
```

Listing 1: a function

“Quotes” and 'single' ones don't get lost — *nor* does **emphasis**, nor `inline_code()`, nor \
[a link](https://ada.example/about).

1. One
2. Two
   - Nested
   - With a paragraph

     and another

> Quoted words.
>
> More of them.

| Name | Value |
| --- | --- |
| a\\|b | `1` |

Term
:   It’s a definition.

{END}"""


def page(body: str, head: str = "") -> Page:
    html = f"<html><head>{head}</head><body><article>{body}</article></body></html>"
    return extract_page(html, url=URL)


def markdown(html: str) -> str:
    return fragment_to_markdown(html, url=URL)


def test_a_blog_post_keeps_its_structure_and_loses_the_furniture() -> None:
    assert extract_page(BLOG, url=URL).text == BLOG_TEXT


def test_a_page_says_who_wrote_what_when_in_which_language() -> None:
    found = extract_page(BLOG, url=URL)
    assert found.title == "On parsing"
    assert found.author == "Grace Hopper"
    assert str(found.published_at) == "2024-03-06 04:30:00+00:00"
    assert found.language == "en"
    assert found.tags == ("python",)
    assert found.canonical == "/2024/on-parsing"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ('<meta name="date" content="2024-03-05">', ""),
        ('<meta property="article:published_time" content="2024-03-05T00:00:00Z">', ""),
        ('<script type="application/ld+json">[{"datePublished": "2024-03-05"}]</script>', ""),
        ("", '<time class="dt-published" datetime="2024-03-05">yesterday</time>'),
        ("", '<span itemprop="datePublished">March 5, 2024</span>'),
        ("", '<header><time datetime="2024-03-05">yesterday</time></header>'),
        ('<meta name="date" content="someday"><meta name="pubdate" content="2024-03-05">', ""),
    ],
)
def test_a_stated_date_without_a_time_is_midnight_utc(head: str, body: str) -> None:
    found = page(f"{body}<p>{LEAD}</p>", head=head)
    assert str(found.published_at) == "2024-03-05 00:00:00+00:00"


def test_an_address_may_hold_the_date() -> None:
    found = extract_page(f"<body><p>{LEAD}</p></body>", url="https://ada.example/2024/03/05/a")
    assert str(found.published_at) == "2024-03-05 00:00:00+00:00"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ('<meta name="version" content="1.95.0 (59807616e 2026-04-14)">', ""),
        ('<script type="application/ld+json">{"datePublished": </script>', ""),
        ("", "<footer>© 2019 Ada, last built on 2024-05-01</footer>"),
    ],
)
def test_other_dates_are_no_publication(head: str, body: str) -> None:
    assert page(f"<p>{LEAD}</p>{body}", head=head).published_at is None


def test_a_language_that_is_not_stated_is_recognised() -> None:
    text = "Ich habe schon immer gedacht, dass das Zerlegen von Texten Freude macht."
    assert page(f"<p>{text}</p>").language == "de"
    assert page("<p>Ok.</p>").language is None


def test_listings_and_definitions_that_trafilatura_leaves_out_are_kept() -> None:
    definitions = "".join(f"<dt>Entry {i}</dt><dd>What {i} does.</dd>" for i in range(9))
    code = "<figure><pre><code>let x = 1;</code></pre></figure>"
    text = page(f"<p>{LEAD}</p>{code}<h2>Menus</h2><dl>{definitions}</dl><p>{END}</p>").text
    assert "```\nlet x = 1;\n```" in text
    assert "## Menus\n\nEntry 0\n:   What 0 does." in text


def test_the_menu_of_a_page_is_left_out_even_when_it_repeats_the_headings() -> None:
    heading = "Using trait objects that allow for values of different types"
    menu = f"<div><a href=/1>{heading}</a></div><div><a href=/2>Another chapter of it</a></div>"
    html = f"<body><div>{menu}</div><main><h1>{heading}</h1><p>{LEAD}</p><p>{END}</p></main>"
    assert extract_page(html, url=URL).text == f"# {heading}\n\n{LEAD}\n\n{END}"


@pytest.mark.parametrize(
    "html",
    [
        "",
        "<html></html>",
        "<title>Only a title</title>",
        "<body><nav><a href='/'>Home</a></nav></body>",
        "<body><noscript>Please enable JavaScript.</noscript><script>app()</script></body>",
        "<body><p> … </p></body>",
    ],
)
def test_a_page_without_main_text_is_refused(html: str) -> None:
    with pytest.raises(SourceFailed, match=r"^empty page: no main text found$"):
        extract_page(html, url=URL)


@pytest.mark.parametrize(
    "html", ["<?xml version='1.0'?><div>a/b.txt</div>", "https://ada.example/"]
)
def test_xhtml_and_text_that_looks_like_a_path_are_read_without_a_warning(html: str) -> None:
    assert markdown(html)
    assert extract_page(html, url=URL).text


@pytest.mark.parametrize("text", ["Hi, it’s me.", "Ok.", "日本語。"])
def test_a_page_of_a_few_words_is_a_page(text: str) -> None:
    assert page(f"<p>{text}</p>").text == text


def test_a_deeply_nested_page_is_read() -> None:
    assert page("<div>" * 150 + LEAD + "</div>" * 150).text == LEAD


def test_a_page_nested_without_end_is_refused() -> None:
    with pytest.raises(SourceFailed):
        page("<div>" * 20_000 + LEAD)
    with pytest.raises(SourceFailed, match="nested too deeply"):
        markdown("<div>" * 20_000 + LEAD)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (
            "<pre><code class='language-python'>a\n\n\n    b</code></pre>",
            "```python\na\n\n\n    b\n```",
        ),
        ("<div class='highlight-source-shell'><pre>ls</pre></div>", "```shell\nls\n```"),
        ("<div class='highlight-c++ notranslate'><pre>x</pre></div>", "```c++\nx\n```"),
        ("<pre data-lang=Go>x</pre>", "```go\nx\n```"),
        ("<pre class='brush: js'>x</pre>", "```js\nx\n```"),
        ("<pre class='language-text'>x</pre>", "```\nx\n```"),
        ("<pre>a<br>b<span>\n  c</span></pre>", "```\na\nb\n  c\n```"),
        ("<pre>```\nfenced\n```</pre>", "````\n```\nfenced\n```\n````"),
        (
            "<table><tr><td class=lnt><pre>1\n2</pre></td><td><pre>a\nb</pre></td></tr></table>",
            "```\na\nb\n```",
        ),
        ("<ul><li>a<pre>x\n\ny</pre>b</li></ul>", "- a\n\n  ```\n  x\n\n  y\n  ```\n\n  b"),
        ("<p><code>a`b</code></p>", "`` a`b ``"),
    ],
)
def test_code_is_kept_to_the_character(html: str, expected: str) -> None:
    assert markdown(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>snake_case and 2 * 3 and a < b</p>", "snake_case and 2 * 3 and a < b"),
        ("<p>__init__ and *args</p>", r"\_\_init\_\_ and \*args"),
        ("<p>the &lt;pre&gt; tag</p>", r"the \<pre> tag"),
        ("<p># not a heading</p>", r"\# not a heading"),
        ("<p>1. not a list</p>", r"1\. not a list"),
        ("<p>a<br>- b</p>", "a  \n\\- b"),
        (r"<p>C:\new\*</p>", r"C:\new\\\*"),
        ("<p>one\n   two</p>", "one two"),
    ],
)
def test_only_what_markdown_would_misread_is_escaped(html: str, expected: str) -> None:
    assert markdown(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<h2><a href='#x'>Title</a><a class=headerlink href='#x'>¶</a></h2>", "## Title"),
        ("<h2></h2><p>a</p>", "a"),
        ("<p><a href='/b c(d)'>x</a></p>", "[x](https://ada.example/b%20c%28d%29)"),
        ("<p><a href='javascript:x()'>x</a></p>", "x"),
        ("<p><a href='http://[bad'>x</a></p>", "x"),
        (
            "<p><img src=/a.png alt='A map'><img src=/b.gif></p>",
            "![A map](https://ada.example/a.png)",
        ),
        ("<p>2<sup>n</sup>, 2<sup>n − 1</sup>, 1<sup>st</sup></p>", "2^n, 2^(n − 1), 1st"),
        ("<table><tr><td><h2>T</h2><p>a</p></td></tr></table>", "## T\n\na"),
        ("<p>a</p><hr><p>b</p>", "a\n\n---\n\nb"),
        ("<p>\ud800a</p>", "a"),
    ],
)
def test_links_images_and_layout_become_plain_markdown(html: str, expected: str) -> None:
    assert markdown(html) == expected


@given(words=st.lists(st.text(alphabet="abcé’‘“”'\"—…-äß中", min_size=1), min_size=1, max_size=30))
def test_every_typographic_character_survives(words: list[str]) -> None:
    assert markdown(f"<p>{' '.join(words)}</p>").replace("\\", "") == " ".join(words)


@given(code=st.text(alphabet="ab \n\t`~#<&|'’", min_size=1).filter(str.strip))
def test_any_code_survives(code: str) -> None:
    escaped = code.replace("&", "&amp;").replace("<", "&lt;")
    first, *body, last = markdown(f"<pre>\n{escaped}\n</pre>").split("\n")
    assert first == last
    assert set(first) == {"`"}
    assert "\n".join(body) == code
