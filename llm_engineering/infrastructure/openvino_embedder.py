"""Dense vectors from a BERT sentence encoder on the CPU through OpenVINO; no torch.

Fast because texts of one length share a batch, so next to nothing is padding; because each core
works through batches of its own, so none waits for another; and because products run in bf16 where
the CPU multiplies it. No compiled model is kept on disk: importing one takes longer (0.46 s) than
building and compiling it anew.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.errors import InvalidSettings, MissingExtra
from llm_engineering.infrastructure.encoder_folder import (
    MINILM,
    MINILM_ID,
    encodable,
    encoder_folder,
    folder_name,
    read_bert,
)

if TYPE_CHECKING:
    import openvino as ov
    from tokenizers import Tokenizer

    _UnderWay = deque[tuple[ov.InferRequest, list[int]]]

BATCH_TOKENS = 1_024
"""Tokens of one batch, padding counted; with more, its activations leave the cache of a core."""
FEW = 64
"""Texts that are encoded for somebody who waits: a query, or the sentences of an answer."""
TOKENIZED_AT_ONCE = 512
"""Texts whose full encodings (some 15 KB each) are in memory at a time."""


@dataclass(frozen=True)
class Precision:
    """What products are computed in, and why."""

    name: Literal["bf16", "f32"]
    reason: str


class OpenVinoEmbedder:
    """Embedder port over a folder in sentence-transformers layout.

    The folder is checked when this is made; OpenVINO is imported, and the model compiled, when the
    first text is embedded: a run that finds nothing new never pays for it.
    """

    def __init__(self, model: str, *, threads: int) -> None:
        """`threads` 0 takes every core this process may use.

        Raises MissingExtra, BackendUnavailable (the weights package is not installed) or
        InvalidSettings (no such folder, or not a BERT that the graph covers).
        """
        for package in ("openvino", "safetensors", "tokenizers"):
            if find_spec(package) is None:
                raise MissingExtra(package, extra="embed")
        self._folder = read_bert(encoder_folder(model))
        self._packaged = model in (MINILM, MINILM_ID)
        self._threads = threads or usable_cores()
        self._compiling = Lock()
        self._idle: deque[ov.InferRequest] = deque()
        # A tokenizer carries its truncation as state, hence one that cuts and one that does not.
        self._whole = _tokenizer(self._folder.tokenizer)
        self._cut = _tokenizer(self._folder.tokenizer)
        self._cut.enable_truncation(self._folder.max_tokens)

    @cached_property
    def name(self) -> str:
        """The packaged weights go by their hub id, so that one index serves every backend."""
        return MINILM_ID if self._packaged else folder_name(self._folder.path)

    @property
    def dimension(self) -> int:
        return self._folder.config.hidden_size

    @property
    def window(self) -> int:
        return self._folder.max_tokens - self._whole.num_special_tokens_to_add(False)

    @cached_property
    def precision(self) -> Precision:
        return detect_precision(self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))

    def token_spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """As the port says; a character that yields no token (control, accent) has no span."""
        return [
            encoding.offsets
            for few in _slices([encodable(text) for text in texts])
            for encoding in self._whole.encode_batch(few, add_special_tokens=False)
        ]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As the port says; what lies past the window is not read."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return vectors
        rows = self._token_ids(texts)
        if len(texts) <= FEW:
            return self._embed_few(rows, vectors)
        model = self._compiled()
        under_way: _UnderWay = deque()
        for batch in _batches([len(row) for row in rows]):
            # Two requests per stream: it works on one while we fill or empty the other.
            free = len(under_way) < 2 * self._threads
            request = model.create_infer_request() if free else _collect(under_way, vectors)
            request.start_async(_padded([rows[i] for i in batch]))
            under_way.append((request, batch))
        while under_way:
            _collect(under_way, vectors)
        return vectors

    def _embed_few(
        self, rows: Sequence[NDArray[np.int32]], vectors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """All cores on one batch at a time: who asks a question waits for the first one."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled_for_few().create_infer_request()
        for batch in _batches([len(row) for row in rows]):
            request.infer(_padded([rows[i] for i in batch]))
            vectors[batch] = request.get_output_tensor(0).data
        self._idle.append(request)
        return vectors

    def _token_ids(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        lower = self._folder.lower_case
        prepared = [encodable(text.lower() if lower else text) for text in texts]
        return [
            np.array(encoding.ids, dtype=np.int32)
            for few in _slices(prepared)
            for encoding in self._cut.encode_batch_fast(few)
        ]

    def _compiled(self) -> "ov.CompiledModel":
        with self._compiling:
            return self._model

    def _compiled_for_few(self) -> "ov.CompiledModel":
        with self._compiling:
            return self._model_for_few

    @cached_property
    def _core(self) -> "ov.Core":
        import openvino as ov

        return ov.Core()

    @cached_property
    def _model(self) -> "ov.CompiledModel":
        return self._compile(streams=self._threads)

    @cached_property
    def _model_for_few(self) -> "ov.CompiledModel":
        return self._compile(streams=1)

    def _compile(self, *, streams: int) -> "ov.CompiledModel":
        from llm_engineering.infrastructure.bert_graph import bert_graph

        options = {
            "INFERENCE_PRECISION_HINT": self.precision.name,
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": streams,
            # Pinned threads of two processes would queue for the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        return self._core.compile_model(bert_graph(self._folder), "CPU", options)


def _collect(under_way: "_UnderWay", vectors: NDArray[np.float32]) -> "ov.InferRequest":
    """Wait for the oldest request, keep its rows, and give it back for the next batch.

    AsyncInferQueue would do this by a Python callback, which a worker thread frees under the GIL
    while freeing the model, under the GIL, waits for that thread: a deadlock.
    """
    request, batch = under_way.popleft()
    request.wait()
    vectors[batch] = request.get_output_tensor(0).data
    return request


def detect_precision(capabilities: Sequence[str]) -> Precision:
    """Of a CPU with these OpenVINO `OPTIMIZATION_CAPABILITIES`."""
    if "BF16" in capabilities:
        return Precision("bf16", reason="the CPU multiplies bf16 (AVX-512 BF16 or AMX)")
    return Precision("f32", reason="the CPU has no bf16 instructions")


def usable_cores() -> int:
    """Cores that this process may run on; where the system does not say, all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _tokenizer(path: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for a file it cannot parse
        raise _unfit(path, str(error)) from None
    if not tokenizer.num_special_tokens_to_add(False):
        raise _unfit(path, "it frames texts by no special tokens")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _unfit(path: Path, reason: str) -> InvalidSettings:
    return InvalidSettings(
        f"TWIN_EMBEDDER__MODEL: cannot use {str(path)!r}: {reason}; fetch the model again"
    )


def _slices(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), TOKENIZED_AT_ONCE):
        yield texts[start : start + TOKENIZED_AT_ONCE]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Positions of texts of about one length, longest first: short batches end the run together."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        size = max(1, BATCH_TOKENS // lengths[order[start]])
        yield order[start : start + size]
        start += size


def _padded(rows: Sequence[NDArray[np.int32]]) -> dict[int, NDArray[np.generic]]:
    """Inputs 0 (ids) and 1 (mask); the id of padding is of no account, since it is masked."""
    shape = (len(rows), max(len(row) for row in rows))
    ids, mask = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.float32)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1.0
    return {0: ids, 1: mask}
