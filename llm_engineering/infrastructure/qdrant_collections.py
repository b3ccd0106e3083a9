"""The collections that hold an index on a Qdrant server, and who may change them.

    <name>          an alias: readers ask it, publishing moves it
    <name>-7        a version, or the build of one

Each carries a card in its metadata (Qdrant 1.16 and newer): what it was built from and, while it
is being built, by whom. A collection of that name without a card is not ours and is let alone.

Does not know: what a point is.
"""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any
from urllib.parse import urlsplit

from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from llm_engineering.domain.errors import (
    BackendUnavailable,
    InvalidSettings,
)
from llm_engineering.infrastructure.qdrant_cards import Card, card_of, metadata_of
from llm_engineering.infrastructure.qdrant_points import KEYWORDS, PUBLISHED_AT

MEMORY = ":memory:"
_DEFAULT_PORT = 6333
NOT_FOUND, _CONFLICT = 404, 409
_HNSW = models.HnswConfigDiff(m=16, ef_construct=100, full_scan_threshold=20_000)
"""In KB of vectors: filters that leave less are answered exactly."""
_NO_GRAPH = models.HnswConfigDiff(m=0)


class Collections:
    """Versions `<name>-<n>` behind the alias `<name>`. Connects when first asked something."""

    def __init__(self, url: str, *, api_key: str | None, name: str, timeout_s: float) -> None:
        """Raises InvalidSettings for an address that cannot be one."""
        self.name = name
        self.in_memory = url == MEMORY
        self.where = "memory" if self.in_memory else _host(url)
        # qdrant-client's own engine is not made for threads
        self._gate = RLock() if self.in_memory else None
        if self.in_memory:
            self.client = QdrantClient(location=MEMORY)
        else:
            self.client = QdrantClient(
                url=url,
                api_key=api_key,
                timeout=math.ceil(timeout_s),
                check_compatibility=False,  # it would connect now
            )

    @contextmanager
    def asking(self) -> Iterator[QdrantClient]:
        """The client; raises BackendUnavailable, never with the key, when the server fails us."""
        try:
            if self._gate is None:
                yield self.client
            else:
                with self._gate:
                    yield self.client
        except ResponseHandlingException as error:
            raise BackendUnavailable(
                f"no Qdrant server answers at {self.where} ({error.source});"
                " start it with 'make up', or unset TWIN_VECTORS__KIND"
            ) from None
        except UnexpectedResponse as error:
            raise BackendUnavailable(self._refusal(error)) from None
        except QdrantException as error:
            raise BackendUnavailable(f"Qdrant at {self.where} is overloaded: {error}") from None

    def _refusal(self, error: UnexpectedResponse) -> str:
        if error.status_code in {401, 403}:
            return f"Qdrant at {self.where} refuses the key; check TWIN_VECTORS__API_KEY"
        reason = error.content.decode("utf-8", "replace")[:200]
        return f"Qdrant at {self.where} answered {error.status_code}: {reason}"

    def published(self) -> Card | None:
        """Of the version that the alias names; None when there is no alias.

        Raises BackendUnavailable when something else goes by that name.
        """
        metadata = self._metadata(self.name)
        if metadata is None:
            return None
        card = card_of(metadata)
        if card is None:
            raise BackendUnavailable(
                f"{self.name!r} on Qdrant at {self.where} is no index of ours;"
                " set TWIN_VECTORS__COLLECTION to another name"
            )
        return card

    def card(self, name: str) -> Card | None:
        """None when there is no such collection, or it is not ours."""
        metadata = self._metadata(name)
        return None if metadata is None else card_of(metadata)

    def write(self, card: Card) -> None:
        with self.asking() as client:
            client.update_collection(card.name, metadata=metadata_of(card))

    def _metadata(self, name: str) -> dict[str, Any] | None:
        with self.asking() as client:
            try:
                info = client.get_collection(name)
            except UnexpectedResponse as error:
                if error.status_code == NOT_FOUND:
                    return None
                raise
            except ValueError:
                if self.in_memory:
                    return None
                raise
        return info.config.metadata or {}

    def _create(self, card: Card) -> None:
        """An empty collection for the vectors that the card's manifest names.

        Raises BackendUnavailable when there is one of that name: somebody else just began.
        """
        manifest = card.manifest
        with self.asking() as client:
            try:
                client.create_collection(
                    card.name,
                    vectors_config={
                        name: models.VectorParams(
                            size=manifest.dimension,
                            distance=models.Distance.DOT,
                            datatype=models.Datatype.FLOAT16,
                            hnsw_config=None if name == manifest.gate else _NO_GRAPH,
                        )
                        for name in manifest.dense
                    },
                    sparse_vectors_config={
                        name: models.SparseVectorParams() for name in manifest.sparse
                    },
                    hnsw_config=_HNSW,
                    metadata=metadata_of(card),
                )
            except UnexpectedResponse as error:
                if error.status_code == _CONFLICT:
                    raise _taken(card.name) from None
                raise
        if self.card(card.name) is None:
            raise BackendUnavailable(
                f"Qdrant at {self.where} keeps no collection metadata; it must be 1.16 or newer"
            )

    def _index_payload(self, name: str) -> None:
        """Before any point: a graph that was built without them loses hits under a filter."""
        if self.in_memory:  # where they do nothing but warn
            return
        schema = dict.fromkeys(KEYWORDS, models.PayloadSchemaType.KEYWORD)
        schema[PUBLISHED_AT] = models.PayloadSchemaType.DATETIME
        with self.asking() as client:
            for field, kind in schema.items():
                client.create_payload_index(name, field, kind, wait=True)

    def claim(self, wanted: Card) -> tuple[Card, bool]:
        """A collection to build `wanted` in, and whether it goes on from what a builder left.

        `wanted.name` does not count. What builders left of anything else is deleted.
        Raises BackendUnavailable when a live one is at work.
        """
        assert wanted.builder is not None
        newer = {n: card for n, card in self._ours().items() if n > self.number(wanted.base)}
        for card in newer.values():
            if card.builder is not None and card.builder.lives():
                raise BackendUnavailable(
                    f"process {card.builder.pid} on {card.builder.host} is building {card.name!r};"
                    " wait until it is done, or end it"
                )
        claimed: Card | None = None
        for card in newer.values():
            if claimed is None and card.same_origin(wanted):
                claimed = card.model_copy(update={"builder": wanted.builder})
                self.write(claimed)
            else:
                self.drop(card.name)
        continued = claimed is not None
        if claimed is None:
            number = max((self.number(wanted.base), *self._numbered())) + 1
            claimed = wanted.model_copy(update={"name": f"{self.name}-{number}"})
            self._create(claimed)
        self._index_payload(claimed.name)
        self.check_claim(claimed)
        return claimed, continued

    def left(self) -> Card | None:
        """Of the last build on the published version that has not come to its end.

        Builds on any other version are deleted, unless a live process is at work.
        """
        published = self.published()
        base = published.name if published else ""
        found: Card | None = None
        for number, card in sorted(self._ours().items()):
            if number <= self.number(base):
                continue
            if card.base == base:
                found = card
            elif card.builder is None or not card.builder.lives():
                self.drop(card.name)
        return found

    def check_claim(self, card: Card) -> None:
        """Raises BackendUnavailable when another builder took the collection over."""
        if not self.holds(card):
            raise _taken(card.name)

    def holds(self, card: Card) -> bool:
        """Whether the builder on `card` is still the one that the collection names."""
        found = self.card(card.name)
        return (
            found is not None
            and found.builder is not None
            and card.builder is not None
            and found.builder.token == card.builder.token
        )

    def publish(self, card: Card, *, forget: bool) -> None:
        """Move the alias to a finished build, and delete what nobody needs any more: all but the
        one before it, and with `forget` that too."""
        old = models.DeleteAlias(alias_name=self.name)
        new = models.CreateAlias(collection_name=card.name, alias_name=self.name)
        with self.asking() as client:
            client.update_collection_aliases(
                [
                    *([models.DeleteAliasOperation(delete_alias=old)] if card.base else []),
                    models.CreateAliasOperation(create_alias=new),
                ]
            )
        self.write(card.model_copy(update={"builder": None}))
        older = sorted(n for n in self._ours() if n < self.number(card.name))
        for number in older if forget else older[:-1]:
            self.drop(f"{self.name}-{number}")

    def drop(self, name: str) -> None:
        with self.asking() as client:
            client.delete_collection(name)

    def number(self, name: str) -> int:
        """7 for '<name>-7'; 0 for anything else."""
        match = re.fullmatch(re.escape(self.name) + r"-(\d+)", name)
        return int(match[1]) if match else 0

    def _ours(self) -> dict[int, Card]:
        cards = {number: self.card(name) for number, name in self._numbered().items()}
        return {number: card for number, card in cards.items() if card is not None}

    def _numbered(self) -> dict[int, str]:
        with self.asking() as client:
            names = [each.name for each in client.get_collections().collections]
        return {self.number(name): name for name in names if self.number(name)}

    def close(self) -> None:
        self.client.close()


def _taken(name: str) -> BackendUnavailable:
    return BackendUnavailable(f"another process builds {name!r} now; wait until it is done")


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _DEFAULT_PORT
    except ValueError:
        host, port = None, 0
    if host is None or parts.scheme not in {"http", "https"}:
        raise InvalidSettings("TWIN_VECTORS__URL is no address; write http://127.0.0.1:6333")
    return f"{host}:{port}"
