"""Which tracer the settings name."""

from importlib.metadata import version
from typing import assert_never

from llm_engineering.ports.tracing import Tracer
from llm_engineering.settings import (
    NoTracesSettings,
    OpikTracesSettings,
    OtlpTracesSettings,
    TracesSettings,
)


def tracer_of(settings: TracesSettings) -> Tracer:
    """Loads the vendor's package only for a tracer that is set."""
    match settings:
        case NoTracesSettings():
            from llm_engineering.infrastructure.no_traces import NoTraces

            return NoTraces()
        case OpikTracesSettings() as opik:
            from llm_engineering.infrastructure.opik_tracer import OpikTracer

            return OpikTracer(
                opik.url,
                api_key=opik.api_key.get_secret_value() if opik.api_key else None,
                workspace=opik.workspace,
                project=opik.project,
                texts=opik.texts,
                timeout_s=opik.timeout_s,
            )
        case OtlpTracesSettings() as otlp:
            from llm_engineering.infrastructure.otlp_tracer import OtlpTracer

            return OtlpTracer(
                otlp.endpoint,
                headers=otlp.pairs(),
                service=otlp.service,
                version=version("llm-twin"),
                texts=otlp.texts,
                timeout_s=otlp.timeout_s,
            )
        case unreachable:
            assert_never(unreachable)
