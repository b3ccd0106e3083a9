"""Whether what is held out can be found among what is learnt, from the rows alone.

Apart from how a set is made, so that it finds what making it overlooked.
"""

from collections.abc import Iterator, Sequence

from llm_engineering.application.datasets.ngrams import KnownRuns
from llm_engineering.domain.chat import Message, Role
from llm_engineering.domain.errors import TooFewSamples
from llm_engineering.domain.samples import InstructSample, Split

_SHOWN = 3


def leaks(samples: Sequence[InstructSample], *, max_overlap: float) -> tuple[str, ...]:
    """What is wrong with each held-out row that repeats rows of the training split.

    Its document, its prompt, or more than `max_overlap` of the completion's runs of eight words.
    """
    train = [sample for sample in samples if sample.split is Split.TRAIN]
    documents = {sample.target.document.id for sample in train}
    prompts = {folded_prompt(sample.prompt) for sample in train}
    known = KnownRuns(text for sample in train for text in (sample.completion, _asked(sample)))
    return tuple(
        f"{sample.target.document.url}: {reason}"
        for sample in samples
        if sample.split is not Split.TRAIN
        for reason in _reasons(sample, documents, prompts, known, max_overlap)
    )


def refuse_leaks(samples: Sequence[InstructSample], *, max_overlap: float) -> None:
    """Raises TooFewSamples when a held-out row leaks."""
    found = leaks(samples, max_overlap=max_overlap)
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise TooFewSamples(
            f"{len(found)} held-out rows leak into the training split "
            f"({'; '.join(found[:_SHOWN])}{more}); nothing was kept"
        )


def folded_prompt(prompt: Sequence[Message]) -> str:
    """Equal for prompts that ask the same."""
    return "\0".join(
        " ".join(message.content.casefold().split())
        for message in prompt
        if message.role is not Role.SYSTEM
    )


def _asked(sample: InstructSample) -> str:
    return "\n".join(message.content for message in sample.prompt)


def _reasons(
    sample: InstructSample,
    documents: set[str],
    prompts: set[str],
    known: KnownRuns,
    max_overlap: float,
) -> Iterator[str]:
    if sample.target.document.id in documents:
        yield "its document is trained on"
    if folded_prompt(sample.prompt) in prompts:
        yield "its prompt is trained on"
    share = known.share(sample.completion)
    if share > max_overlap:
        yield f"{share:.0%} of its runs of eight words are trained on"
