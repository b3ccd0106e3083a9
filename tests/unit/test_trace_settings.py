"""Settings of traces: what is taken, and what no message shows."""

from pathlib import Path

import pytest

from llm_engineering.domain.errors import InvalidSettings
from llm_engineering.settings import (
    NoTracesSettings,
    OpikTracesSettings,
    OtlpTracesSettings,
    load_settings,
)

ABSENT = Path("no-such.env")


def load(**given: str) -> object:
    return load_settings({f"TWIN_TRACES__{n}": v for n, v in given.items()}, env_file=ABSENT).traces


def test_there_are_no_traces_unless_they_are_asked_for() -> None:
    assert load() == NoTracesSettings()


def test_opik_gets_texts_and_a_collector_does_not_unless_told() -> None:
    opik, otlp = load(KIND="opik"), load(KIND="otlp")
    assert isinstance(opik, OpikTracesSettings)
    assert isinstance(otlp, OtlpTracesSettings)

    assert (opik.texts, otlp.texts) == (True, False)
    assert load(KIND="opik", TEXTS="false") == opik.model_copy(update={"texts": False})


def test_headers_are_pairs_and_stay_hidden() -> None:
    otlp = load(KIND="otlp", HEADERS="x-key=s3cret==, x-other = two ")
    assert isinstance(otlp, OtlpTracesSettings)

    assert otlp.pairs() == {"x-key": "s3cret==", "x-other": "two"}
    assert "s3cret" not in repr(otlp)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("opik", "URL", "127.0.0.1:5173"),
        ("opik", "URL", "https://ada:s3cret@opik.example/api"),
        ("otlp", "ENDPOINT", "grpc://collector:4317"),
        ("otlp", "HEADERS", "s3cret"),
        ("otlp", "HEADERS", "x-key=s3cret\nx: y"),
    ],
)
def test_a_wrong_value_names_the_setting_and_shows_no_secret(
    kind: str, name: str, value: str
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(KIND=kind, **{name: value})

    assert f"TWIN_TRACES__{name}" in str(caught.value)
    assert "s3cret" not in str(caught.value)
