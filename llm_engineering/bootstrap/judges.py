"""Which models read two texts together the settings name."""

from typing import assert_never

from llm_engineering.ports.models import EntailmentModel, Reranker
from llm_engineering.settings import (
    CrossEncoderEntailmentSettings,
    CrossEncoderSettings,
    EntailmentSettings,
    NoEntailmentSettings,
    NoRerankerSettings,
    RerankerSettings,
)


def reranker_of(settings: RerankerSettings) -> Reranker | None:
    match settings:
        case NoRerankerSettings():
            return None
        case CrossEncoderSettings() as model:
            from llm_engineering.infrastructure.cross_encoder import CrossEncoderReranker

            return CrossEncoderReranker(model.model, device=model.device)
        case unreachable:
            assert_never(unreachable)


def entailment_of(settings: EntailmentSettings) -> EntailmentModel | None:
    match settings:
        case NoEntailmentSettings():
            return None
        case CrossEncoderEntailmentSettings() as model:
            from llm_engineering.infrastructure.cross_encoder_entailment import (
                CrossEncoderEntailment,
            )

            return CrossEncoderEntailment(model.model, device=model.device)
        case unreachable:
            assert_never(unreachable)
