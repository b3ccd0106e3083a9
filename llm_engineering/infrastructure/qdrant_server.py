"""Vectors on a Qdrant server: versioned collections behind an alias that publishing moves.

See `qdrant_collections` for their names and cards. The IDF of a query's terms is a reader's own
doing: it loads a version's statistics once, and each search asks in the same request which version
answers it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.errors import MissingExtra

try:
    from qdrant_client import QdrantClient, models
    from qdrant_client.http.exceptions import UnexpectedResponse
except ImportError as error:
    raise MissingExtra("qdrant-client", extra="qdrant") from error

from llm_engineering.domain.chunks import Chunk, IndexManifest
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.errors import BackendUnavailable, IndexMismatch
from llm_engineering.domain.revisions import askable
from llm_engineering.domain.vectors import DenseLeg, Held, Hit, Leg, SparseLeg
from llm_engineering.infrastructure.index_rules import (
    MOST_VALUES,
    REBUILD,
    asked_vector,
    check_legs,
    check_manifest,
    check_name,
    index_empty,
)
from llm_engineering.infrastructure.qdrant_cards import Builder, Card
from llm_engineering.infrastructure.qdrant_collections import NOT_FOUND, Collections
from llm_engineering.infrastructure.qdrant_points import (
    EFFORT,
    ENTRY,
    PUBLISHED_AT,
    SPARE,
    cuts_a_tie,
    entry_of,
    hits_in_order,
    in_order,
    keyword_conditions,
    published_range,
)
from llm_engineering.infrastructure.qdrant_server_build import QdrantIndexBuild
from llm_engineering.infrastructure.qdrant_server_points import sparse_vector
from llm_engineering.infrastructure.qdrant_statistics import (
    POINT_ID,
    WHICH_BUILD,
    ServedVersion,
    answering_build,
)
from llm_engineering.infrastructure.term_statistics import TermStatistics
from llm_engineering.ports.stores import Facet

_GRAPH = models.SearchParams(hnsw_ef=EFFORT)


class QdrantVectorIndex:
    """A `VectorIndex` on the server at `url`; `:memory:` is qdrant-client's own slow engine."""

    def __init__(self, url: str, *, api_key: str | None, collection: str, timeout_s: float) -> None:
        """Connects to nothing yet. Raises InvalidSettings for a url that is none."""
        self._collections = Collections(url, api_key=api_key, name=collection, timeout_s=timeout_s)
        # qdrant-client's own engine warns of what it does without
        self._effort = None if self._collections.in_memory else _GRAPH
        self._build: QdrantIndexBuild | None = None
        self._held: ServedVersion | None = None

    def manifest(self) -> IndexManifest:
        return self._published().manifest

    def version(self) -> str:
        card = self._collections.published()
        return card.name if card else ""

    def search(self, legs: Sequence[Leg], *, where: DocumentFilter = EVERYTHING) -> list[list[Hit]]:
        """As the port says; one request, and two more after another version was published."""
        condition = _condition(askable(where))
        while True:
            held = self._held or self._load()
            try:
                ranked = self._ranked(held, legs, condition)
            except (IndexMismatch, BackendUnavailable):
                # The alias may have moved to other vectors than `held` tells of.
                if self._load().build == held.build:
                    raise
                continue
            if ranked is not None:
                return ranked
            self._load()

    def _ranked(
        self, held: ServedVersion, legs: Sequence[Leg], condition: models.Filter
    ) -> list[list[Hit]] | None:
        """None when another version answered than `held`."""
        check_legs(held.manifest, legs)
        requests = [_request(leg, held, condition, effort=self._effort) for leg in legs]
        asked = {n: legs[n].limit + SPARE for n, request in enumerate(requests) if request}
        ranked: list[list[Hit]] = [[] for _ in legs]
        cut = True
        while cut:
            # The alias may move between two requests: the last one answers every leg.
            build, answers = self._answers(
                [
                    request.model_copy(update={"limit": asked[n]})
                    for n, request in enumerate(requests)
                    if request
                ]
            )
            if build != held.build:
                return None
            cut = False
            for n, points in zip(list(asked), answers, strict=True):
                scores = [point.score for point in points]
                found = [(point.score, UUID(str(point.id)).int) for point in points]
                ranked[n] = hits_in_order(in_order(found, limit=legs[n].limit))
                if cuts_a_tie(scores, asked=asked[n], limit=legs[n].limit):
                    asked[n] *= 4
                    cut = True
        return ranked

    def _answers(
        self, requests: Sequence[models.QueryRequest]
    ) -> tuple[str, list[list[models.ScoredPoint]]]:
        """The build that answered, and what it did."""
        with self._reading() as client:
            answers = client.query_batch_points(self._collections.name, [WHICH_BUILD, *requests])
        return answering_build(answers[0].points), [answer.points for answer in answers[1:]]

    def _load(self) -> ServedVersion:
        with self._reading() as client:
            records = client.retrieve(self._collections.name, [POINT_ID], with_payload=True)
        if not records:
            self._published()
            raise IndexMismatch(f"the index has no term statistics; {REBUILD}")
        self._held = held = ServedVersion.of(records[0].payload or {})
        return held

    @contextmanager
    def _reading(self) -> Iterator[QdrantClient]:
        """The client; raises IndexEmpty when nothing was published yet."""
        with self._collections.asking() as client:
            try:
                yield client
            except UnexpectedResponse as error:
                if error.status_code == NOT_FOUND:
                    raise index_empty() from None
                raise
            except ValueError:  # how the engine in memory says either
                if not self._collections.in_memory:
                    raise
                if self._collections.published() is None:
                    raise index_empty() from None
                raise BackendUnavailable("the index changed while it was read; try again") from None

    def chunks(self, chunk_ids: Sequence[str]) -> dict[str, Chunk]:
        with self._reading() as client:
            records = client.retrieve(
                self._collections.name, list(chunk_ids), with_payload=[ENTRY], with_vectors=False
            )
        return {str(each.id): entry_of(each.payload).chunk for each in records if each.payload}

    def count(self, where: DocumentFilter = EVERYTHING) -> int:
        condition = _condition(askable(where))
        if self._collections.published() is None:
            return 0
        with self._collections.asking() as client:
            return client.count(self._collections.name, condition, exact=True).count

    def values(self, field: Facet) -> dict[str, int]:
        if self._collections.published() is None:
            return {}
        with self._collections.asking() as client:
            found = client.facet(
                self._collections.name,
                field,
                facet_filter=_condition(EVERYTHING),
                limit=MOST_VALUES,
                exact=True,
            )
        return {str(hit.value): hit.count for hit in found.hits}

    def held(self, name: str, terms: NDArray[np.uint32]) -> Held:
        statistics = self.statistics()
        check_name(name, tuple(statistics), subject="the query")
        return statistics[name].held(terms)

    def statistics(self) -> dict[str, TermStatistics]:
        """Of the published version, by sparse vector name."""
        return self._load().statistics

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

    def interrupted(self) -> QdrantIndexBuild | None:
        """As the port says; of several that were left, the last one is continued."""
        self._release_build()
        left = self._collections.left()
        return self.build(left.manifest, fresh=left.fresh) if left else None

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


def _request(
    leg: Leg,
    held: ServedVersion,
    condition: models.Filter,
    *,
    effort: models.SearchParams | None,
) -> models.QueryRequest | None:
    """Without its limit; None for a leg that ranks nothing."""
    match leg:
        case DenseLeg():
            vector = asked_vector(leg).tolist()
            if leg.name == held.manifest.gate:
                return models.QueryRequest(
                    query=vector, using=leg.name, filter=condition, params=effort
                )
            pool = models.Prefetch(
                query=vector,
                using=held.manifest.gate,
                filter=condition,
                params=effort,
                limit=leg.pool,
            )
            return models.QueryRequest(query=vector, using=leg.name, prefetch=pool)
        case SparseLeg():
            weighed = held.statistics[leg.name].weighed(leg.vector)
            if not len(weighed.indices):
                return None
            return models.QueryRequest(
                query=sparse_vector(weighed), using=leg.name, filter=condition
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
