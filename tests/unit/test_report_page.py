import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

from llm_engineering.application.report_charts import by_month, columns, histogram, percentile
from llm_engineering.application.report_page import Report, report_numbers, report_page
from llm_engineering.domain.errors import TwinError
from llm_engineering.domain.reports import CrawlReport, Failure, FeatureReport

AT = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
VOID = {"meta", "br", "link", "img"}

CRAWLED = CrawlReport(
    sources=("files:notes",),
    seen=1_204,
    new=3,
    changed=2,
    unchanged=1_199,
    removed=1,
    failed=(Failure(subject="https://example.org/a", reason="404 Not Found"),),
    by_kind={"article": 1_200, "note": 4},
    by_month={"2024-11": 3, "2025-02": 1, "undated": 7},
    characters=(10, 2_000, 3_000),
    seconds=1.5,
)
INDEXED = FeatureReport(
    documents=5,
    new=5,
    chunks=40,
    sentences=163,
    embedded=41,
    duplicates=1,
    tokens=(10, 20, 200),
    version="gen-7",
    seconds={"read": 0.5, "embed": 2.0},
)


class Elements(HTMLParser):
    """Collects the elements; fails on a tag that is closed out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page(*reports: Report, error: TwinError | None = None) -> str:
    return report_page(reports, title="Etl", run="etl-1", at=AT, error=error)


def elements(html: str) -> Elements:
    found = Elements()
    found.feed(html)
    found.close()
    assert not found.open
    return found


def test_the_page_is_well_formed_and_needs_nothing_else() -> None:
    found = elements(page(CRAWLED, INDEXED, error=TwinError("too many")))

    assert "script" not in found.names
    assert "link" not in found.names
    assert found.addresses == []
    assert "url(" not in page(CRAWLED, INDEXED)


def test_the_page_shows_counts_failures_version_and_run() -> None:
    html = page(CRAWLED, INDEXED)

    for words in ("1,204", "404 Not Found", "gen-7", "etl-1", "4 March 2026", "7 without a date"):
        assert words in html


def test_text_from_outside_is_escaped_everywhere() -> None:
    evil = "<script>alert('x')</script>\"&"
    report = CrawlReport(
        sources=(evil,),
        failed=(Failure(subject=evil, reason=evil),),
        by_kind={evil: 1},
        by_month={evil: 1},
    )

    html = report_page([report], title=evil, run=evil, at=AT, error=TwinError(evil))

    assert "<script" not in html
    assert "script" not in elements(html).names


def test_empty_reports_make_a_page_without_charts() -> None:
    found = elements(page(CrawlReport(), FeatureReport()))

    assert "svg" not in found.names


def test_a_failed_run_says_why_at_the_top() -> None:
    html = page(CRAWLED, error=TwinError("9 of 10 addresses failed"))

    assert html.index("9 of 10 addresses failed") < html.index("Crawl")
    assert "Failed." not in page(CRAWLED)


def test_a_thousand_failures_are_cut_and_counted() -> None:
    failed = tuple(Failure(subject=f"u{n}", reason="gone") for n in range(1_000))

    html = page(CrawlReport(failed=failed))

    assert html.count("<tr>") == 201
    assert "and 800 more" in html


def test_both_colour_schemes_define_the_same_colours() -> None:
    light, dark = re.findall(r":root\{([^}]*)\}", page(CRAWLED))
    names = [set(re.findall(r"--(\w+):", block)) for block in (light, dark)]

    assert names[0] == names[1]


def test_numbers_are_flat_and_count_failures() -> None:
    numbers = report_numbers(CRAWLED)

    assert numbers["failed"] == 1
    assert numbers["documents"] == 1_204
    assert numbers["documents_note"] == 4
    assert all(type(value) in (int, float) for value in numbers.values())


def test_numbers_of_features_sum_the_stages() -> None:
    numbers = report_numbers(INDEXED)

    assert numbers["seconds"] == 2.5
    assert numbers["seconds_embed"] == 2.0
    assert numbers["tokens"] == 230
    assert (numbers["chunks"], numbers["sentences"]) == (40, 163)
    assert all(type(value) in (int, float) for value in numbers.values())


def test_months_without_documents_are_shown() -> None:
    assert by_month({"2025-02": 1, "2024-11": 3, "undated": 7}) == {
        "2024-11": 3,
        "2024-12": 0,
        "2025-01": 0,
        "2025-02": 1,
    }


def test_many_years_are_shown_by_year() -> None:
    assert by_month({"2001-05": 1, "2001-06": 2, "2009-01": 4}) == {
        "2001": 3,
        **{f"{year}": 0 for year in range(2002, 2009)},
        "2009": 4,
    }


def test_a_histogram_counts_every_value_once() -> None:
    values = [0, 1, 9, 10, 11, 250, 10_000]

    assert sum(histogram(values).values()) == len(values)
    assert len(histogram(range(100_000))) <= 24
    assert histogram([0, 0]) == {"0 and more": 2}
    assert histogram([]) == {}


def test_the_percentile_is_a_value_of_the_list() -> None:
    assert percentile([5, 1, 9], 50) == 5
    assert percentile([5, 1, 9], 90) == 9
    assert percentile([7], 1) == 7


def test_columns_are_as_tall_as_their_share_of_the_tallest() -> None:
    svg = columns({"a": 4, "b": 1, "c": 0}, label="Things").partition("<div")[0]
    heights = [float(rect.attrib["height"]) for rect in ElementTree.fromstring(svg).iter("rect")]

    assert heights == [150.0, 37.5]
