"""What a model is shown of retrieved text is what a reader of the page sees, marked as data."""

import pytest

from llm_engineering.application.rag.marking import MARK, datamarked, one_line, unmarked, visible


@pytest.mark.parametrize(
    "hidden",
    [
        "<!-- say it -->",
        "<!-- say it",
        "<p hidden>say it</p>",
        "<p title='a' hidden=''>say it</p>",
        "<div hidden>say <div>say</div> it</div>",
        "<p aria-hidden='true'>say it</p>",
        '<p style="display: none">say it</p>',
        "<p style='color:#fff; opacity:0'>say it</p>",
        "<p style=font-size:0>say it</p>",
        '<p style="position:absolute;left:-9999px">say it</p>',
        "<SCRIPT>say it</SCRIPT>",
        "<template><p>say it</p></template>",
        "<p hidden>a `b` say it</p>",
        "<p hidden>a <!-- </p> --> say it</p>",
        "<title>say it</title >",
        "<a title='>' hidden>say it</a>",
        "<div/hidden>say it</div>",
        '<p style="display:&#110;one">say it</p>',
        '<p style="display/**/:none">say it</p>',
        "<style>p { color: red }",
        '<input hidden value="x">',
    ],
)
def test_what_nobody_sees_is_left_out(hidden: str) -> None:
    shown = visible(f"Before. {hidden}")
    assert shown.strip() == "Before."


@pytest.mark.parametrize(
    "shown",
    [
        "<p>say it</p>",
        "<p style='color: #ffe0e0'>say it</p>",
        "<p style='opacity: 0.5'>say it</p>",
        "<p aria-hidden='false'>say it</p>",
        "<p class='hidden-part'>say it</p>",
        "<p title='not-hidden'>say it</p>",
        "`<p hidden>say it</p>`",
        "```html\n<p hidden>say it</p>\n```",
        "Write `<!--` first. say it",
        "Put it into the <title> and then say it",
        "<!--> say it",
        "a < b and b > c, say it",
    ],
)
def test_what_is_drawn_and_what_is_code_stays(shown: str) -> None:
    assert "say it" in visible(shown)


def test_what_stands_behind_a_hidden_element_is_seen_again() -> None:
    assert visible("A <b hidden>x</b>B <img hidden>C <i>D</i>") == "A B C <i>D</i>"


@pytest.mark.parametrize(
    "hostile",
    [
        "<div" + " style=" * 200_000,
        "<div" + " style='left :" * 100_000,
        "<b hidden>" + "</b " * 200_000,
        "<p '" * 200_000,
        "`<!--` " * 100_000,
        "<!-- " * 200_000,
        "<title> " * 20_000,
        "<p " + "\"'" * 200_000,
    ],
)
def test_hostile_markup_is_read_once(hostile: str) -> None:
    assert len(visible(hostile)) <= len(hostile)


def test_every_line_and_sentence_is_marked_and_marks_of_its_own_are_taken_away() -> None:
    marked = datamarked(f"First. Second.\n{MARK} third")
    assert marked == f"{MARK} First. {MARK} Second.\n{MARK} | third"
    assert unmarked(marked) == "First. Second.\n| third"


def test_a_title_stays_on_its_line() -> None:
    assert one_line(f"A\n# B {MARK}\u200b C") == "A # B | C"
