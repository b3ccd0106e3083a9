"""Vectors on a Qdrant server: versioned collections behind an alias that publishing moves.

See `qdrant_collections` for their names and cards.
"""

from collections.abc import Sequence

from llm_engineering.domain.errors import MissingExtra

try:
    from qdrant_client import models
    from qdrant_client.http.exceptions import UnexpectedResponse
except ImportError as error:
    raise MissingExtra("qdrant-client", extra="qdrant") from error

from llm_engineering.domain.chunks import DenseLeg, Hit, IndexManifest, Leg, SparseLeg
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.revisions import askable
from llm_engineering.infrastructure.index_rules import (
    best,
    check_legs,
    check_manifest,
    index_empty,
)
from llm_engineering.infrastructure.qdrant_cards import Builder, Card
from llm_engineering.infrastructure.qdrant_collections import NOT_FOUND, Collections
from llm_engineering.infrastructure.qdrant_points import (
    CHUNK,
    PUBLISHED_AT,
    SPARE,
    chunk_of,
    cuts_a_tie,
    keyword_conditions,
    published_range,
)
from llm_engineering.infrastructure.qdrant_server_build import QdrantIndexBuild

_BAD_REQUEST = 400


class QdrantVectorIndex:
    """A `VectorIndex` on the server at `url`; `:memory:` is qdrant-client's own slow engine."""

    def __init__(self, url: str, *, api_key: str | None, collection: str, timeout_s: float) -> None:
        """Connects to nothing yet. Raises InvalidSettings for a url that is none."""
        self._collections = Collections(url, api_key=api_key, name=collection, timeout_s=timeout_s)
        self._build: QdrantIndexBuild | None = None

    def manifest(self) -> IndexManifest:
        return self._published().manifest

    def version(self) -> str:
        card = self._collections.published()
        return card.name if card else ""

    def search(self, legs: Sequence[Leg], *, where: DocumentFilter = EVERYTHING) -> list[list[Hit]]:
        condition = _condition(askable(where))
        asked = {n: leg.limit + SPARE for n, leg in enumerate(legs) if _asks_something(leg)}
        if not asked:
            check_legs(self.manifest(), legs)
        ranked: list[list[Hit]] = [[] for _ in legs]
        cut = bool(asked)
        while cut:
            # The alias may move between two requests: the last one answers every leg.
            answers = self._answers(
                legs, [_request(legs[n], limit, condition) for n, limit in asked.items()]
            )
            cut = False
            for n, points in zip(list(asked), answers, strict=True):
                limit = legs[n].limit
                ranked[n] = _hits(points, limit=limit)
                if cuts_a_tie([point.score for point in points], asked=asked[n], limit=limit):
                    asked[n] *= 4
                    cut = True
        return ranked

    def _answers(
        self, legs: Sequence[Leg], requests: Sequence[models.QueryRequest]
    ) -> list[list[models.ScoredPoint]]:
        collections = self._collections
        with collections.asking() as client:
            try:
                answers = client.query_batch_points(collections.name, requests)
            except UnexpectedResponse as error:
                if error.status_code == NOT_FOUND:
                    raise index_empty() from None
                if error.status_code == _BAD_REQUEST:
                    check_legs(self.manifest(), legs)
                raise
            except ValueError:  # how the engine in memory says either
                check_legs(self.manifest(), legs)
                raise
        return [answer.points for answer in answers]

    def count(self, where: DocumentFilter = EVERYTHING) -> int:
        condition = _condition(askable(where))
        if self._collections.published() is None:
            return 0
        with self._collections.asking() as client:
            return client.count(self._collections.name, condition, exact=True).count

    def build(self, manifest: IndexManifest, *, fresh: bool = False) -> QdrantIndexBuild:
        """As the port says; a build of this index that is still open is taken over.

        A builder on this machine counts as live while its process runs, one elsewhere while it
        wrote something within the last ten minutes.
        """
        self._release_build()
        published = self._collections.published()
        if published is not None and not fresh:
            check_manifest(published.manifest, manifest)
        empty = published is None or fresh
        wanted = Card(
            name="",
            manifest=manifest,
            base=published.name if published else "",
            fresh=fresh,
            copied=empty,
            builder=Builder.here(),
        )
        card, continued = self._collections.claim(wanted)
        dirty = fresh or (continued and card.copied)
        self._build = QdrantIndexBuild(self._collections, card, dirty=dirty)
        return self._build

    def close(self) -> None:
        """As the port says; a build that is still open is released."""
        self._release_build()
        self._collections.close()

    def _release_build(self) -> None:
        if self._build is not None:
            self._build.release()
            self._build = None

    def _published(self) -> Card:
        card = self._collections.published()
        if card is None:
            raise index_empty()
        return card


def _hits(points: Sequence[models.ScoredPoint], *, limit: int) -> list[Hit]:
    by_id = {str(point.id): point for point in points}
    ranked = best({key: point.score for key, point in by_id.items()}, limit=limit)
    return [Hit(chunk_of(by_id[key].payload or {}), score) for key, score in ranked]


def _asks_something(leg: Leg) -> bool:
    return isinstance(leg, DenseLeg) or len(leg.vector.indices) > 0


def _request(leg: Leg, limit: int, condition: models.Filter) -> models.QueryRequest:
    query: list[float] | models.SparseVector
    match leg:
        case DenseLeg():
            query = [float(value) for value in leg.vector]
        case SparseLeg():
            query = models.SparseVector(indices=[*leg.vector.indices], values=[*leg.vector.values])
    return models.QueryRequest(
        query=query, using=leg.name, filter=condition, limit=limit, with_payload=[CHUNK]
    )


def _condition(where: DocumentFilter) -> models.Filter:
    must: list[models.Condition] = [
        models.FieldCondition(key=field, match=models.MatchAny(any=values))
        for field, values in keyword_conditions(where).items()
    ]
    if bounds := published_range(where):
        must.append(
            models.FieldCondition(
                key=PUBLISHED_AT, range=models.DatetimeRange.model_validate(bounds)
            )
        )
    return models.Filter(must=must)
