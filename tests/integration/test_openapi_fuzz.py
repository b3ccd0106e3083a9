"""Whatever the OpenAPI description allows, and much that it does not, is answered without a 5xx."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from llm_engineering.infrastructure.scripted_chat import ScriptedChat
from tests.live_server import live
from tests.unit.serving import indexed_app

OPERATIONS = (
    ("POST", "/rag"),
    ("POST", "/search"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{name}"),
    ("GET", "/documents/{document_id}"),
    ("POST", "/feedback"),
    ("POST", "/conversations"),
    ("GET", "/conversations"),
    ("GET", "/conversations/{conversation_id}"),
    ("DELETE", "/conversations/{conversation_id}"),
    ("DELETE", "/conversations/{conversation_id}/remembered/{remembered_id}"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
)
SHAPES = [
    schemathesis.checks.response_schema_conformance,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
]


@pytest.fixture(scope="module")
def schema() -> Iterator[Any]:
    """Of a running server."""
    with live(indexed_app(chat=ScriptedChat(script=lambda _: "One file [1]."))) as server:
        yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")


def test_every_operation_is_fuzzed(schema: Any) -> None:
    found = {(op.method.upper(), op.path) for op in (r.ok() for r in schema.get_all_operations())}
    assert found == set(OPERATIONS)


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [(*operation, GenerationMode.POSITIVE) for operation in OPERATIONS]
    # The others take nothing that could be wrong.
    + [
        (*operation, GenerationMode.NEGATIVE)
        for operation in OPERATIONS
        if operation[0] == "POST" and operation[1] != "/conversations"
    ],
)
# The server's threads draw random numbers too, which Hypothesis takes for its strategies'.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
def test_no_request_makes_the_server_fail(
    schema: Any, method: str, path: str, mode: GenerationMode
) -> None:
    cases = schema[path][method].as_strategy(generation_mode=mode)

    @given(case=cases)
    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    def answered(case: Any) -> None:
        response = case.call()
        red = path == "/ready" and response.status_code == 503
        assert response.status_code < 500 or red, response.text
        case.validate_response(response, checks=SHAPES)

    answered()
