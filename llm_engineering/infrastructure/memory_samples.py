"""Sample sets and feedback in this process, gone with it. For tests, under the same contract."""

from collections.abc import Collection, Iterator, Sequence
from threading import Lock

from llm_engineering.domain.errors import NotFound
from llm_engineering.domain.feedback import Feedback, feedback_order
from llm_engineering.domain.samples import SampleSet, SampleSetManifest, newest_first, no_such_set


class MemorySampleStore:
    """A `SampleStore` of a dictionary."""

    def __init__(self) -> None:
        self._sets: dict[str, SampleSet] = {}

    def put(self, samples: SampleSet) -> str:
        return self._sets.setdefault(samples.manifest.version, samples).manifest.version

    def get(self, version: str) -> SampleSet:
        if version not in self._sets:
            raise NotFound(no_such_set(version, self.manifests()))
        return self._sets[version]

    def manifests(self) -> tuple[SampleSetManifest, ...]:
        return newest_first(samples.manifest for samples in self._sets.values())


class MemoryFeedbackStore:
    """A `FeedbackStore` of a dictionary; `close` keeps what it holds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[str, Feedback] = {}

    def put(self, feedback: Sequence[Feedback]) -> None:
        with self._lock:
            self._held |= {each.id: each for each in feedback}

    def find(self) -> Iterator[Feedback]:
        with self._lock:
            held = sorted(self._held.values(), key=feedback_order)
        yield from held

    def remove(self, ids: Collection[str]) -> int:
        with self._lock:
            return sum(self._held.pop(each, None) is not None for each in set(ids))

    def close(self) -> None:
        pass
