"""What the API counts, for Prometheus to come and read.

Everything is counted on the event loop, where it is read as well: a scrape sees a moment, not
something half counted, and asks no backend. Labels take few values whatever clients send: routes
are templates, and models the names that the engine goes by.
Does not know: when something is to be counted.
"""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from llm_engineering.api.collectors import Described, Gaps, Traces, Versions
from llm_engineering.domain.traces import TraceTally

MODELS = 16
"""Names of models that get figures of their own; others are `other`."""
OTHER = "other"
_WAITS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ANSWERS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_SHARES = tuple(tenth / 10 for tenth in range(11))
_PACES = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 250.0, 500.0, 1_000.0)


class Metrics:
    """Of one app. For one event loop."""

    def __init__(self, *, version: str, tally: Callable[[], TraceTally]) -> None:
        """`tally`: what became of the traces."""
        self.registry = CollectorRegistry()
        self.described: list[Described] = []
        self._models: set[str] = set()
        self._made_requests()
        self._made_answers()
        self._made_retrieval()
        self.gaps = Gaps()
        self.versions = Versions(version)
        for collector in (self.gaps, self.versions, Traces(tally)):
            self.registry.register(collector)
            self.described += collector.described
        ProcessCollector(registry=self.registry)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Everything, and its content type: OpenMetrics where `accept` asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def model(self, name: str) -> str:
        """The label of a model: its name, while there are few."""
        if name not in self._models:
            if len(self._models) >= MODELS:
                return OTHER
            self._models.add(name)
        return name

    def searched(self, timings_ms: Mapping[str, float], *, waited_ms: float) -> None:
        """Count a search by its stages."""
        self.queue.observe(waited_ms / 1e3)
        for stage, ms in timings_ms.items():
            self.retrieval.labels(stage).observe(ms / 1e3)

    def _made_requests(self) -> None:
        self.requests = self._counter(
            "twin_requests", "Requests that ended.", "method", "route", "status"
        )
        self.request_seconds = self._histogram(
            "twin_request_seconds",
            "From a request's first byte to the last of its response.",
            _ANSWERS,
            "route",
        )
        self.requests_open = self._gauge("twin_requests_open", "Requests that are under way.")

    def _made_answers(self) -> None:
        self.answers_open = self._gauge("twin_answers_open", "Answers that are under way.")
        self.answers = self._counter(
            "twin_answers",
            "Answers that ended: answered, abstained, refused (too many, or asked for what cannot "
            "be done), left (by who asked), failed.",
            "outcome",
            "model",
        )
        self.first = self._histogram(
            "twin_first_token_seconds",
            "From a question to the first piece of its answer, retrieval included.",
            _WAITS,
            "model",
        )
        self.seconds = self._histogram(
            "twin_answer_seconds", "From a question to the end of its answer.", _ANSWERS, "model"
        )
        self.pace = self._histogram(
            "twin_tokens_per_second",
            "Tokens of an answer after its first, by the time from its first to its last.",
            _PACES,
            "model",
        )
        self.tokens = self._counter(
            "twin_tokens", "Tokens as the engine counts them: prompt, completion.", "kind", "model"
        )
        self.errors = self._counter(
            "twin_answer_errors",
            "Answers that failed, by what failed (retrieval, engine) and how.",
            "stage",
            "kind",
        )
        self.groundedness = self._histogram(
            "twin_groundedness",
            "Share of what a model claimed that the author's writing says or supports.",
            _SHARES,
        )
        self.replaced = self._counter(
            "twin_answers_replaced",
            "Answers of which too little was backed: quotations or a refusal stand instead.",
        )

    def _made_retrieval(self) -> None:
        self.queue = self._histogram(
            "twin_queue_seconds", "In line, before a thread took a question or a search.", _WAITS
        )
        self.retrieval = self._histogram(
            "twin_retrieval_seconds", "Stages of retrieval.", _WAITS, "stage"
        )
        self.evidence = self._histogram(
            "twin_evidence", "How well the best passage supports an answer.", _SHARES
        )
        self.abstentions = self._counter(
            "twin_abstentions",
            "Answers that say that there is none: by the evidence, before a model was asked, or by "
            "the model.",
            "by",
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        self.described.append(Described(name, "counter", labels, meaning))
        return Counter(name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        self.described.append(Described(name, "gauge", labels, meaning))
        return Gauge(name, meaning, labels, registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        self.described.append(Described(name, "histogram", labels, meaning))
        return Histogram(name, meaning, labels, buckets=buckets, registry=self.registry)
