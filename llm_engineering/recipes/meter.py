"""What training steps cost: real tokens, padding, seconds, and how much of the device was used.

Does not know: trainers; whoever drives one says when a step begins to count and when it ends.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_engineering.domain.training import DeviceUse, Throughput
from llm_engineering.recipes.checkpoints import Progress
from llm_engineering.recipes.devices import peak_memory_mb, wait_for
from llm_engineering.recipes.turns import IGNORED
from llm_engineering.recipes.unpadded import PLACES


@dataclass
class Meter:
    """Counts what the collator gives and times what the steps take."""

    device: DeviceUse
    tokens: int = 0
    learnt: int = 0
    padding: int = 0
    seconds: float = 0.0
    last_rate: float = 0.0
    """Tokens per second of the last step."""
    _since: float = 0.0
    _step_tokens: int = 0
    _ahead: deque[tuple[int, int, int]] = field(default_factory=deque)

    def go_on_from(self, progress: Progress) -> None:
        self.tokens, self.learnt = progress.tokens, progress.learnt
        self.padding, self.seconds = progress.padding, progress.seconds

    def watch(self, collate: Callable[..., Any]) -> Callable[[Sequence[Any]], Any]:
        """The same collator, its batches counted; loaders fetch a few before they are used."""

        def watched(examples: Sequence[Any]) -> Any:
            batch = collate(examples)
            self._ahead.append(_counts(examples, batch))
            return batch

        return watched

    def start(self) -> None:
        """From now on time counts; called again after a pause, such as an evaluation."""
        wait_for(self.device)
        self._since = time.perf_counter()

    def batch_ended(self) -> None:
        tokens, padding, learnt = self._ahead.popleft()
        self.tokens += tokens * self.device.count
        self.padding += padding * self.device.count
        self.learnt += learnt * self.device.count
        self._step_tokens += tokens * self.device.count

    def counted(self, tokens: int) -> None:
        """A step over `tokens` tokens, all learnt and none of them padding, has ended."""
        self._ahead.append((tokens, 0, tokens))
        self.step_ended()

    def step_ended(self) -> None:
        """Its last batch, and so the step itself, has ended."""
        self.batch_ended()
        before = self._since
        self.start()
        self.seconds += (took := self._since - before)
        self.last_rate, self._step_tokens = self._step_tokens / max(took, 1e-9), 0

    def throughput(self, *, steps: int, work: "Work", rate: float) -> Throughput:
        """`rate`: what the device can do, in operations per second, all its processes together."""
        seconds = max(self.seconds, 1e-9)
        done = work.operations(tokens=self.tokens, learnt=self.learnt)
        return Throughput(
            steps=steps,
            tokens=self.tokens,
            padding_share=self.padding / max(self.tokens + self.padding, 1),
            seconds=self.seconds,
            tokens_per_s=self.tokens / seconds,
            mfu=done / seconds / rate,
            peak_memory_mb=peak_memory_mb(self.device),
        )


@dataclass(frozen=True)
class Work:
    """Operations that training needs, without recomputation (arXiv 2204.02311, appendix B)."""

    body: int
    """Weights of linear layers that every token goes through."""
    head: int
    """Weights of the output layer; only a learnt token needs it."""
    trained: int
    """Of all those, the weights that get a gradient: the adapter's."""
    attention: float = 0.0
    """Operations per token of scores and weighted sums, forward."""

    def operations(self, *, tokens: int, learnt: int) -> float:
        """Forward 2 a weight, backward 2 for activations and 2 for weights that are trained."""
        a_token = 4 * self.body + 2 * self.trained + 3 * self.attention
        return float(tokens * a_token + learnt * 4 * self.head)


def work_of(model: Any, *, row_length: float) -> Work:
    """Of a causal model whose rows have `row_length` tokens on average."""
    head = model.get_output_embeddings().weight
    embedded = {id(model.get_input_embeddings().weight), id(head)}
    weights = [(p, _size(p)) for p in model.parameters() if id(p) not in embedded and p.dim() > 1]
    config = model.config.get_text_config()
    return Work(
        body=sum(size for _, size in weights),
        head=_size(head),
        trained=sum(size for weight, size in weights if weight.requires_grad),
        # Scores and sums, each 2 * width; a causal row sees half of itself.
        attention=4 * config.hidden_size * config.num_hidden_layers * row_length / 2,
    )


def _size(weight: Any) -> int:
    """Four-bit weights are stored two a byte."""
    return int(weight.numel()) * (2 if type(weight).__name__ == "Params4bit" else 1)


def _counts(examples: Sequence[Any], batch: Mapping[str, Any]) -> tuple[int, int, int]:
    """Real tokens, padding, learnt tokens of a batch."""
    masks = [values for name, values in batch.items() if name.endswith("attention_mask")]
    if masks:
        real = int(sum(m.sum() for m in masks))
        places = int(batch.get(PLACES, sum(m.numel() for m in masks)))
    else:
        real, places = sum(len(e["input_ids"]) for e in examples), batch["input_ids"].numel()
    learnt = int((batch["labels"] != IGNORED).sum()) if "labels" in batch else real
    return real, places - real, learnt
