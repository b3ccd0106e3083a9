"""The crawl use case over sources that are made of lists."""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from llm_engineering.application.crawl import check_failures
from llm_engineering.domain.documents import Author
from llm_engineering.domain.documents import DocumentKind as Kind
from llm_engineering.domain.errors import InvalidConfig, NotFound, SourceFailed, TooManyFailures
from llm_engineering.domain.reports import CrawlReport, Failure
from llm_engineering.infrastructure.memory_documents import MemoryDocumentStore
from llm_engineering.ports.sources import Found, Gone, Unchanged
from tests.unit.crawling import (
    NOW,
    CountingProgress,
    ListSource,
    config,
    crawled,
    document,
    running,
    urls,
)


def test_new_changed_and_unchanged_documents_are_counted() -> None:
    store = MemoryDocumentStore()
    first = crawled(ListSource([document("/a"), document("/b"), document("/c")]), store=store)
    again: list[Found] = [
        document("/a"),
        document("/b", "Other text."),
        Unchanged("/c"),
        document("/d"),
    ]
    second = crawled(ListSource(again), store=store)
    assert (first.seen, first.new, first.changed, first.unchanged) == (3, 3, 0, 0)
    assert (second.seen, second.new, second.changed, second.unchanged) == (4, 1, 1, 2)
    assert store.get(document("/b").id).revision == 2


def test_more_documents_than_one_batch_are_all_kept() -> None:
    store = MemoryDocumentStore()
    report = crawled(ListSource([document(f"/{i}") for i in range(200)]), store=store)
    assert report.new == len(urls(store)) == 200


def test_the_report_describes_what_is_live_afterwards() -> None:
    store = MemoryDocumentStore()
    store.put([document("/old", source="feed:y", kind=Kind.POST)])
    march = datetime(2024, 3, 5, tzinfo=UTC)
    found = [document("/a", "four", published=march), document("/b", "seventh")]
    report = crawled(ListSource(found), store=store)
    assert report.sources == ("web:x",)
    assert report.by_kind == {"note": 2, "post": 1}
    assert report.by_month == {"2024-03": 1, "undated": 2}
    assert sorted(report.characters) == [4, 7]


def test_the_time_it_took_is_measured_with_the_clock_it_was_given() -> None:
    times = iter(NOW + timedelta(seconds=seconds) for seconds in (0, 90))
    work = running(ListSource([]), store=MemoryDocumentStore(), now=lambda: next(times))
    assert asyncio.run(work).seconds == 90


def test_each_source_is_a_stage_that_counts_addresses() -> None:
    progress = CountingProgress()
    failed = Failure(subject="/b", reason="HTTP 404")
    sources = ListSource([document("/a"), failed]), ListSource([], id="feed:y")
    asyncio.run(running(*sources, store=MemoryDocumentStore(), progress=progress))
    assert progress.stages == {"crawl web:x": 2, "crawl feed:y": 0}


def test_one_address_in_two_sources_counts_once_and_the_first_one_wins() -> None:
    store = MemoryDocumentStore()
    second = ListSource([document("/a", "Of y.", source="feed:y")], id="feed:y")
    report = crawled(ListSource([document("/a", "Of x.")]), second, store=store)
    assert (report.seen, report.new) == (1, 1)
    assert store.get(document("/a").id).text == "Of x."


def test_an_unchanged_address_keeps_a_later_source_from_taking_it_over() -> None:
    store = MemoryDocumentStore()
    store.put([document("/a", "Of x.")])
    second = ListSource([document("/a", "Of y.", source="feed:y")], id="feed:y")
    report = crawled(ListSource([Unchanged("/a")]), second, store=store)
    assert (report.seen, report.unchanged) == (1, 1)
    assert store.get(document("/a").id).source == "web:x"


def test_a_source_is_told_only_what_is_known_of_itself_and_this_author() -> None:
    store = MemoryDocumentStore()
    charles = document("/c", author=Author(name="Charles Babbage"))
    store.put([document("/a"), document("/b", source="feed:y"), charles])
    source = ListSource([])
    crawled(source, store=store)
    assert [set(known) for known in source.known] == [{"/a"}]


def test_refetching_tells_sources_nothing_and_still_removes() -> None:
    store = MemoryDocumentStore()
    store.put([document("/a"), document("/gone")])
    source = ListSource([document("/a")], lists_everything=True)
    report = crawled(source, store=store, refetch=True)
    assert source.known == [{}]
    assert report.removed == 1
    assert urls(store) == {"/a"}


def test_what_a_complete_listing_no_longer_has_is_removed() -> None:
    store = MemoryDocumentStore()
    store.put([document("/a"), document("/gone"), document("/y", source="feed:y")])
    report = crawled(ListSource([Unchanged("/a")], lists_everything=True), store=store)
    assert report.removed == 1
    assert urls(store) == {"/a", "/y"}
    assert store.revisions(document("/gone").id)[-1].deleted_at == NOW


def test_what_an_incomplete_listing_does_not_show_stays() -> None:
    store = MemoryDocumentStore()
    store.put([document("/a"), document("/old")])
    assert crawled(ListSource([Unchanged("/a")]), store=store).removed == 0


@pytest.mark.parametrize(
    "failed",
    [
        "https://ada.example/a",
        "http://www.ada.example/a/",
        "https://ada.example/A/index.html",
    ],
)
def test_an_address_that_only_failed_this_time_is_not_removed(failed: str) -> None:
    store = MemoryDocumentStore()
    store.put([document("https://ada.example/a"), document("https://ada.example/gone")])
    source = ListSource([Failure(subject=failed, reason="HTTP 503")], lists_everything=True)
    report = crawled(source, store=store)
    assert urls(store) == {"https://ada.example/a"}
    assert (report.removed, len(report.failed)) == (1, 1)


def test_an_address_that_is_gone_for_good_is_removed_from_any_source() -> None:
    store = MemoryDocumentStore()
    store.put([document("/a"), document("/b")])
    report = crawled(ListSource([Gone("/a"), Gone("/never-seen")]), store=store)
    assert report.removed == 1
    with pytest.raises(NotFound):
        store.get(document("/a").id)


def test_a_document_that_moved_to_another_source_is_not_removed() -> None:
    store = MemoryDocumentStore()
    store.put([document("/a"), document("/b")])
    first = ListSource([Unchanged("/b")], lists_everything=True)
    second = ListSource([document("/a", source="feed:y")], id="feed:y")
    report = crawled(first, second, store=store)
    assert (report.removed, report.changed) == (0, 1)
    assert urls(store) == {"/a", "/b"}


def test_a_removed_document_that_comes_back_is_alive_again() -> None:
    store = MemoryDocumentStore()
    store.put([document("/a")])
    store.remove([document("/a").id], at=NOW)
    assert crawled(ListSource([document("/a")]), store=store).changed == 1
    assert urls(store) == {"/a"}


def test_a_source_that_fails_as_a_whole_is_a_failure_and_removes_nothing() -> None:
    store = MemoryDocumentStore()
    store.put([document("/a"), document("/b")])
    broken = ListSource(
        [document("/c")], lists_everything=True, error=SourceFailed("no such folder: notes")
    )
    report = crawled(broken, ListSource([document("/d")], id="feed:y"), store=store)
    assert report.failed == (Failure(subject="web:x", reason="no such folder: notes"),)
    assert urls(store) == {"/a", "/b", "/c", "/d"}
    assert report.removed == 0


def test_two_sources_of_one_name_are_refused_before_anything_is_read() -> None:
    sources = [ListSource([document("/a")]), ListSource([document("/b")])]
    with pytest.raises(InvalidConfig, match="two sources are called 'web:x'"):
        crawled(*sources)
    assert sources[0].known == []


def test_a_cancelled_crawl_keeps_whole_batches_and_removes_nothing() -> None:
    store = MemoryDocumentStore()
    store.put([document("/before")])
    found = [document(f"/{i}") for i in range(70)]
    source = ListSource(found, lists_everything=True, hangs=True)

    async def cancelled() -> None:
        progress = CountingProgress()
        task = asyncio.create_task(running(source, store=store, progress=progress))
        while progress.stages.get("crawl web:x", 0) < 70:
            await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert urls(store) == {"/before"} | {f"/{i}" for i in range(64)}
    source.hangs = False
    report = crawled(source, store=store)
    assert (report.new, report.unchanged, report.removed) == (6, 64, 1)


class SlowStore(MemoryDocumentStore):
    """Removes only once it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = Event()
        self.go_on = Event()

    def remove(self, document_ids: Sequence[str], *, at: datetime) -> int:
        self.begun.set()
        self.go_on.wait()
        return super().remove(document_ids, at=at)


def test_a_cancelled_crawl_ends_after_the_write_that_was_begun() -> None:
    store = SlowStore()
    store.put([document("/a")])

    async def cancelled() -> None:
        source = ListSource([], lists_everything=True)
        task = asyncio.create_task(running(source, store=store))
        await asyncio.to_thread(store.begun.wait)
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
        assert not task.done()
        store.go_on.set()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert urls(store) == set()


def report_of(seen: int, failed: int) -> CrawlReport:
    failures = tuple(Failure(subject=f"/{i}", reason="HTTP 404") for i in range(failed))
    return CrawlReport(seen=seen, new=seen, failed=failures)


def test_a_share_of_failures_within_the_limit_passes() -> None:
    check_failures(report_of(8, 2), config(max_failed_share=0.2))


def test_too_many_failures_say_how_many_and_the_first_reasons() -> None:
    message = (
        "5 of 12 addresses failed, more than 20% (/0: HTTP 404; /1: HTTP 404; /2: HTTP 404; "
        "and 2 more); what was read is kept; fix them or raise max_failed_share"
    )
    with pytest.raises(TooManyFailures, match=f"^{re.escape(message)}$"):
        check_failures(report_of(7, 5), config(max_failed_share=0.2))


@pytest.mark.parametrize("failed", [0, 1])
def test_nothing_read_is_an_error_whatever_the_limit(failed: int) -> None:
    with pytest.raises(TooManyFailures, match=r"^nothing could be read"):
        check_failures(report_of(0, failed), config(max_failed_share=1))
