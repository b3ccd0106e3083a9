"""The keys that a running server knows, never older than half a second.

Does not know: HTTP, what a key may do.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from llm_engineering.domain.access import ApiKey, digest_of
from llm_engineering.domain.errors import TwinError
from llm_engineering.ports.stores import KeyStore

FRESH_S = 0.5
"""How long keys are trusted before the store is asked whether they changed."""
USED_EVERY = timedelta(minutes=1)
_NO_DIGEST = "0" * 64

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys as they were a moment ago."""

    version: str = ""
    by_digest: Mapping[str, ApiKey] = field(default_factory=dict)

    def find(self, presented: bytes) -> ApiKey | None:
        """The key that was presented, whether or not it still opens anything.

        The same work for every key, known or not: what the look-up's time could tell is of a
        digest, which nobody can steer, and the comparison takes as long wherever it fails.
        """
        digest = digest_of(presented)
        found = self.by_digest.get(digest)
        same = hmac.compare_digest(found.digest if found else _NO_DIGEST, digest)
        return found if same else None


class Keyring:
    """For one event loop; the store is asked in a thread, by one request for all.

    Keys that cannot be read any more open nothing: a revoked one might be among them.
    """

    def __init__(
        self,
        store: Callable[[], KeyStore],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._clock = clock
        self._now = now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keys")
        self._keys = Keys()
        self._checked = float("-inf")
        self._reading: asyncio.Future[Keys] | None = None
        self._used: dict[str, datetime] = {}
        """When each key's use was last handed to the store."""

    async def keys(self) -> Keys:
        """Raises BackendUnavailable when they cannot be read."""
        if self._clock() - self._checked < FRESH_S:
            return self._keys
        if self._reading is None:
            loop = asyncio.get_running_loop()
            self._reading = loop.run_in_executor(self._thread, self._read, self._keys)
            self._reading.add_done_callback(self._read_done)
        return await asyncio.shield(self._reading)

    def use(self, key: ApiKey) -> None:
        """Have it kept that `key` was used now, at most once a minute."""
        now = self._now()
        before = self._used.get(key.id)
        if before is None or now - before >= USED_EVERY:
            self._used[key.id] = now
            self._thread.submit(self._keep, key.id, now)

    def close(self) -> None:
        self._thread.shutdown(wait=True)

    def _read(self, known: Keys) -> Keys:
        store = self._store()
        version = store.version()
        if version == known.version:
            return known
        return Keys(version, {key.digest: key for key in store.all()})

    def _read_done(self, reading: "asyncio.Future[Keys]") -> None:
        self._reading = None
        if not reading.cancelled() and reading.exception() is None:
            self._keys = reading.result()
            self._checked = self._clock()

    def _keep(self, key_id: str, at: datetime) -> None:
        try:
            self._store().used({key_id: at})
        except TwinError as error:  # of no use to who asks
            log.warning("when a key was used is not kept: %s", error)
