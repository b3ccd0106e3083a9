"""Ids of requests and of the traces that they are part of."""

import time
from typing import Any
from uuid import UUID

import httpx
import pytest

from llm_engineering.api.request_context import new_request_id, request_id_of, trace_parent_of
from llm_engineering.domain.traces import TraceParent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def scope(*headers: tuple[str, str]) -> dict[str, Any]:
    return {"headers": [(name.encode(), value.encode("latin-1")) for name, value in headers]}


@pytest.mark.parametrize("given", ["a", "7f3c-1", "Req_2024.01", "x" * 128])
def test_a_short_and_plain_id_of_the_caller_is_taken(given: str) -> None:
    assert request_id_of(scope(("x-request-id", given))) == given


@pytest.mark.parametrize(
    "given",
    ["", "-", "x" * 129, "a b", "a\nb", "a\r\n", "é", '"', "a/b", "../x", "{id}", "a;b", "%0a"],
)
def test_any_other_id_is_replaced(given: str) -> None:
    made = request_id_of(scope(("x-request-id", given)))

    assert made != given
    assert UUID(made).version == 7


def test_two_ids_in_one_request_are_none() -> None:
    made = request_id_of(scope(("x-request-id", "a"), ("x-request-id", "b")))

    assert UUID(made).version == 7


def test_ids_that_we_make_differ_and_sort_by_time() -> None:
    early = {new_request_id() for _ in range(1_000)}
    time.sleep(0.002)
    late = new_request_id()

    assert len(early) == 1_000
    assert max(early) < late
    made = UUID(late)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert abs((made.int >> 80) / 1000 - time.time()) < 5


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False), ("03", True)])
def test_a_traceparent_is_taken_over(flags: str, sampled: bool) -> None:
    given = scope(("traceparent", f"00-{TRACE}-{SPAN}-{flags}"))

    assert trace_parent_of(given) == TraceParent(TRACE, SPAN, sampled=sampled)


def test_a_later_version_may_say_more() -> None:
    given = scope(("traceparent", f"01-{TRACE}-{SPAN}-01-more"))

    assert trace_parent_of(given) == TraceParent(TRACE, SPAN, sampled=True)


@pytest.mark.parametrize(
    "given",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_a_traceparent_that_is_not_well_formed_is_none(given: str) -> None:
    assert trace_parent_of(scope(("traceparent", given))) is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("given", "instance"),
    [
        ("req-17", "urn:llm-twin:request:req-17"),
        (
            "01890A5D-AC96-774B-BCCE-B302099A8057",
            "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057",
        ),
    ],
)
async def test_the_response_and_its_problem_carry_the_callers_id(
    client: httpx.AsyncClient, given: str, instance: str
) -> None:
    response = await client.get("/nowhere", headers={"x-request-id": given})

    assert response.headers["x-request-id"] == given
    assert response.json()["instance"] == instance
