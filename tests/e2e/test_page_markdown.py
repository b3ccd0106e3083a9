"""The page's Markdown: what it draws, where each text stood, and that no text takes long."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.page import Page
from tests.e2e.page_corpus import corpus_app
from tests.live_server import live

Opens = Callable[[str], Page]

DRAW = """
const [text, marks, done] = arguments;
import('/ui/markdown.js').then(({MarkdownView}) => {
  const box = document.createElement('div');
  document.body.append(box);
  const mark = marks ? (number) => document.createTextNode(`<${number}>`) : null;
  const view = new MarkdownView(box, {mark});
  const began = performance.now();
  view.show(text);
  const took = performance.now() - began;
  const wrong = view.runs.filter((run) => run.node.data !== text.slice(run.start, run.end));
  const shown = box.textContent, tags = box.innerHTML;
  const grown = new MarkdownView(document.createElement('div'), {mark});
  for (let at = 0; at <= text.length; at += Math.max(1, text.length >> 6)) {
    grown.show(text.slice(0, at));
  }
  grown.show(text);
  const same = grown.container.innerHTML === tags;
  box.remove();
  done({took, wrong: wrong.length, shown, tags, same});
});
"""


def draw(shown: Page, text: str, *, marks: bool = False) -> dict[str, Any]:
    drawn: dict[str, Any] = shown.browser.execute_async_script(DRAW, text, marks)
    return drawn


CASES = {
    "plain\nlines  \nbroken": "<p>plain\nlines<br>broken</p>",
    "## Two *em* `a*b`": "<h4>Two <em>em</em> <code>a*b</code></h4>",
    "a_b_c __strong__ ~~gone~~": "<p>a_b_c <strong>strong</strong> <s>gone</s></p>",
    "**never ends": "<p>**never ends</p>",
    r"\*not\* 2 * 3 * 4": "<p>*not* 2 * 3 * 4</p>",
    "> said\n> twice": "<blockquote><p>said\ntwice</p></blockquote>",
    "- one\n  - deep\n- two": '<ul><li><div class="item">one</div><ul><li><div class="item">deep'
    '</div></li></ul></li><li><div class="item">two</div></li></ul>',
    "3. three\n4. four": '<ol start="3"><li><div class="item">three</div></li><li>'
    '<div class="item">four</div></li></ol>',
    "[x](javascript:alert(1)) <b>": "<p><span>x</span> &lt;b&gt;</p>",
    "![alt](https://evil.example/x.png)": '<p><span class="image">image: alt</span></p>',
    "---": "<hr>",
}


def test_what_is_drawn(page: Opens) -> None:
    with live(corpus_app()) as server:
        shown = page(server.url)
        drawn = {text: draw(shown, text) for text in CASES}

    assert {text: each["tags"] for text, each in drawn.items()} == CASES
    assert all(each["same"] for each in drawn.values())


def test_a_link_goes_to_the_web_alone_tells_it_nothing_and_names_its_host(page: Opens) -> None:
    text = "[bank](https://evil.example/a_(b)) and https://ada.example/x. Not [this](ftp://a.b)"
    with live(corpus_app()) as server:
        drawn = draw(page(server.url), text)

    assert drawn["tags"].count("<a ") == 2
    assert drawn["tags"].count('rel="noopener noreferrer nofollow"') == 2
    assert 'href="https://evil.example/a_(b)"' in drawn["tags"]
    assert 'href="https://ada.example/x"' in drawn["tags"]
    assert drawn["shown"] == "bank (evil.example) and https://ada.example/x. Not this"


def test_marks_are_marks_but_not_in_code_or_links(page: Opens) -> None:
    with live(corpus_app()) as server:
        drawn = draw(
            page(server.url), "Sweet [1, 2]. `a[1]` and [3](https://a.example)", marks=True
        )

    assert drawn["shown"] == "Sweet <1><2>. a[1] and 3 (a.example)"


RICH = """# A *title* 🍵

One **two `three`** and [four](https://a.example) \\* five
six  
seven 🌿

> - quoted `code`
>   goes on

| a | b \\| c |
|---|---|
| *1* | 2 |

```py
x = "[1](y)"
```

    indented
1. one

   more
2. two
"""  # noqa: W291

HARD = {
    "brackets": "[" * 20_000,
    "links": "[a](" * 10_000,
    "stars": "*a " * 10_000,
    "both": "*a_b **c __d " * 3_000,
    "ticks": " ".join("`" * n for n in range(1, 200)),
    "quotes": "> " * 10_000,
    "lists": "\n".join(" " * (n % 40) + "- x" for n in range(3_000)),
    "fences": "```\n" * 5_001,
    "tables": "|a|b|\n|-|-|\n" * 2_000,
    "targets": "[x](" + "(" * 10_000,
    "lines": "a\n" * 20_000,
    "blanks": " " * 20_000 + "x",
}


@pytest.mark.parametrize("name", ["rich", *HARD])
def test_every_text_knows_its_place_growing_ends_the_same_and_nothing_takes_long(
    page: Opens, name: str
) -> None:
    with live(corpus_app()) as server:
        drawn = draw(page(server.url), RICH if name == "rich" else HARD[name])

    assert drawn["wrong"] == 0
    assert drawn["same"]
    assert drawn["took"] < 1_500
