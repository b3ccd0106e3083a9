"""The term statistics of an index on a Qdrant server: the payload of one point of the collection.

It names the build that wrote it, so that a search can ask, among its other questions, whether the
statistics that its weights were made from are still those of the version that answers.

Does not know: when they are counted.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qdrant_client import models

from llm_engineering.domain.chunks import IndexManifest
from llm_engineering.infrastructure.qdrant_points import STATE, STATISTICS
from llm_engineering.infrastructure.term_statistics import TermStatistics, dumped, loaded

POINT_ID = "00000000-0000-0000-0000-000000000000"
"""No chunk has it."""
_BUILD, _MANIFEST, _TERMS = "build", "manifest", "terms"

WHICH_BUILD = models.QueryRequest(
    filter=models.Filter(must=[models.HasIdCondition(has_id=[POINT_ID])]),
    limit=1,
    with_payload=[_BUILD],
)
"""What a search asks along with its legs."""


@dataclass(frozen=True)
class ServedVersion:
    """What a reader has to know of a published version before it can ask for ranked lists."""

    build: str
    """Different for every build."""
    manifest: IndexManifest
    statistics: dict[str, TermStatistics]
    """By sparse vector name."""

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "ServedVersion":
        return cls(
            build=payload[_BUILD],
            manifest=IndexManifest.model_validate_json(payload[_MANIFEST]),
            statistics=loaded(b64decode(payload[_TERMS])),
        )

    def point(self) -> models.PointStruct:
        payload = {
            STATE: STATISTICS,
            _BUILD: self.build,
            _MANIFEST: self.manifest.model_dump_json(),
            _TERMS: b64encode(dumped(self.statistics)).decode("ascii"),
        }
        return models.PointStruct(id=POINT_ID, vector={}, payload=payload)


def answering_build(points: list[models.ScoredPoint]) -> str:
    """What `WHICH_BUILD` was answered with; '' where there are no statistics."""
    return str((points[0].payload or {}).get(_BUILD, "")) if points else ""
