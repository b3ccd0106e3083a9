"""Sees an answer through: what it took goes to the metrics, how it went to the tracer.

While an answer is given on, a piece costs one addition; the rest is done when it has ended.
Does not know: how questions are answered.
"""

import asyncio
import logging
import time
from types import TracebackType
from typing import TYPE_CHECKING

from fastapi import Request

from llm_engineering.api.metrics import Metrics
from llm_engineering.api.problems import classify
from llm_engineering.api.request_context import (
    KEY_ID,
    REQUEST_ID,
    TRACE_PARENT,
    method_of,
    route_of,
)
from llm_engineering.api.work import Abandoned, Overloaded
from llm_engineering.application.rag.traced import Course, trace_of
from llm_engineering.domain.chat import Answer
from llm_engineering.domain.errors import TwinError
from llm_engineering.ports.tracing import Tracer

if TYPE_CHECKING:
    from llm_engineering.api.asking import Ready

_LEFT = (Abandoned, asyncio.CancelledError, GeneratorExit)

log = logging.getLogger(__name__)


class Watcher:
    """Of one app. For one event loop."""

    def __init__(self, metrics: Metrics, tracer: Tracer) -> None:
        self.metrics = metrics
        self._tracer = tracer

    def watch(self, question: str, request: Request) -> "Watch":
        """Begins with an answer and, as a context manager, ends with it."""
        return Watch(question, request, self.metrics, self._tracer)


class Watch:
    """One answer."""

    def __init__(self, question: str, request: Request, metrics: Metrics, tracer: Tracer) -> None:
        self._question = question
        self._metrics = metrics
        self._tracer = tracer
        self._gaps = metrics.gaps
        self._began = time.time()
        self._started = time.perf_counter()
        self._first = self._last = 0.0
        self._ready: Ready | None = None
        self._answer: Answer | None = None
        self._error: BaseException | None = None
        self._request = request
        self.onward = tracer.onward(REQUEST_ID.get(), began=self._began, parent=TRACE_PARENT.get())
        """What the engine is told to be a part of."""

    def __enter__(self) -> "Watch":
        self._metrics.answers_open.inc()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        self._metrics.answers_open.dec()
        if error is not None:
            self.broke(error)
        try:
            self._end()
        except Exception:
            # What is seen of an answer must not cost the answer.
            log.exception("an answer could not be counted")

    def prepared(self, ready: "Ready") -> None:
        """Retrieval is done."""
        self._ready = ready
        metrics, prepared = self._metrics, ready.prepared
        metrics.searched(prepared.timings_ms, waited_ms=ready.waited_ms)
        if ready.index_version:
            metrics.versions.index = ready.index_version
            metrics.evidence.observe(prepared.evidence)

    def piece(self) -> None:
        """The next piece of text is here."""
        now = time.perf_counter()
        if self._first:
            self._gaps.add(now - self._last)
        else:
            self._first = now
        self._last = now

    def whole(self, answer: Answer) -> None:
        """The answer is complete."""
        self._answer = answer

    def broke(self, error: BaseException) -> None:
        """Something went wrong, or who asked has left."""
        if self._error is None:
            self._error = error

    def _end(self) -> None:
        ended = time.perf_counter()
        outcome = self._outcome()
        metrics = self._metrics
        model = metrics.model(self._model())
        metrics.answers.labels(outcome, model).inc()
        if self._first:
            metrics.first.labels(model).observe(self._first - self._started)
        if self._answer is not None:
            metrics.seconds.labels(model).observe(ended - self._started)
            self._count(self._answer, model)
        elif outcome == "failed":
            stage = "retrieval" if self._ready is None else "engine"
            metrics.errors.labels(stage, self._kind()).inc()
        if self._ready is not None or outcome == "failed":
            course = self._course(ended - self._started, outcome)
            self._tracer.record(trace_of(course, question=self._question, texts=self._tracer.texts))

    def _count(self, answer: Answer, model: str) -> None:
        metrics, usage = self._metrics, answer.usage
        metrics.versions.model = model
        metrics.tokens.labels("prompt", model).inc(usage.prompt_tokens)
        metrics.tokens.labels("completion", model).inc(usage.completion_tokens)
        if usage.completion_tokens > 1 and self._last > self._first:
            pace = (usage.completion_tokens - 1) / (self._last - self._first)
            metrics.pace.labels(model).observe(pace)
        if answer.abstained:
            asked = self._ready is not None and self._ready.prepared.request is not None
            metrics.abstentions.labels("model" if asked else "evidence").inc()
        if answer.grounding is not None:
            metrics.groundedness.observe(answer.grounding.share)
            if answer.grounding.replaced:
                metrics.replaced.inc()

    def _outcome(self) -> str:
        if self._answer is not None:
            return "abstained" if self._answer.abstained else "answered"
        if self._error is None or isinstance(self._error, _LEFT):
            return "left"
        if isinstance(self._error, Overloaded):
            return "refused"
        if isinstance(self._error, TwinError) and classify(self._error)[0] < 500:
            return "refused"
        return "failed"

    def _kind(self) -> str:
        error = self._error
        return classify(error)[1] if isinstance(error, TwinError) else "unexpected"

    def _model(self) -> str:
        """That spoke, or was to speak; '' when it did not come to that."""
        if self._answer is not None:
            return self._answer.model
        return self._ready.model if self._ready is not None else ""

    def _course(self, took_s: float, outcome: str) -> Course:
        ready = self._ready
        scope = self._request.scope
        failed = outcome in ("failed", "refused")
        known = {
            "http.request.method": method_of(scope),
            "http.route": route_of(scope),
            "twin.key.id": KEY_ID.get(),
        }
        return Course(
            request_id=REQUEST_ID.get(),
            started=self._began,
            ended=self._began + took_s,
            waited_ms=ready.waited_ms if ready else 0.0,
            first_ms=(self._first - self._started) * 1e3 if self._first else None,
            outcome=outcome,
            error=self._kind() if failed else "",
            reason=str(self._error) if failed and isinstance(self._error, TwinError) else "",
            prepared=ready.prepared if ready else None,
            answer=self._answer,
            model=ready.model if ready else "",
            index_version=ready.index_version if ready else "",
            reranker=ready.reranker if ready else "",
            attributes={name: value for name, value in known.items() if value},
            parent=TRACE_PARENT.get(),
        )
