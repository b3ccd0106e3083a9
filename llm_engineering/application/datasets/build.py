"""Sample sets from cleaned documents: who wrote it, what may be a target, who asks for it.

The same documents, feedback and config give the same set with the same version, whenever and
however often it is made. Does not know: where sets are kept, which trainer reads them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from math import ceil

from llm_engineering.application.clean import CLEANING
from llm_engineering.application.datasets.config import DatasetsConfig
from llm_engineering.application.datasets.feedback import documents_behind, feedback_samples
from llm_engineering.application.datasets.leaks import folded_prompt, refuse_leaks
from llm_engineering.application.datasets.preference import other_author_pairs, other_spans
from llm_engineering.application.datasets.splits import (
    Cuts,
    Separated,
    by_split,
    cuts,
    separated,
)
from llm_engineering.application.datasets.structure import Asked
from llm_engineering.application.datasets.targets import (
    Target,
    asked_by_structure,
    asked_by_teacher,
    distinct_targets,
)
from llm_engineering.application.datasets.versions import stamped
from llm_engineering.application.datasets.writing import Writing, collect
from llm_engineering.application.rag.prompts import instructed
from llm_engineering.domain.errors import TooFewSamples
from llm_engineering.domain.feedback import Feedback
from llm_engineering.domain.samples import (
    InstructSample,
    PreferenceSample,
    SampleSet,
    SampleSetManifest,
    Split,
    TargetSpan,
    sample_id,
)
from llm_engineering.ports.models import ChatModel
from llm_engineering.ports.progress import Progress
from llm_engineering.ports.stores import DocumentStore


def build_samples(
    config: DatasetsConfig,
    *,
    store: DocumentStore,
    teacher: ChatModel | None,
    feedback: Iterable[Feedback],
    now: datetime,
    progress: Progress,
) -> SampleSet:
    """A set of the author's writing; a `teacher` that does not generate is not asked.

    Raises TooFewSamples when there is too little, or what is held out leaks; NotFound for an author
    that the store does not hold; what `teach` raises.
    """
    dropped: Counter[str] = Counter()
    with progress.stage("read and split"):
        writing = collect(store, author=config.author, languages=config.languages, dropped=dropped)
        where = cuts(writing.documents, config.split)
        parts = separated(by_split(writing.documents, where), config.split, dropped)
    if teacher is not None and not (teacher.generates and config.teacher.calls > 0):
        teacher = None
    targets = distinct_targets(parts, config, dropped, progress)
    asked = asked_by_structure(targets, config, dropped)
    if teacher is not None:
        asked += asked_by_teacher(targets, config, teacher, writing.author.name, dropped, progress)
    instruct = tuple(_kept(asked, parts, writing.author.name, config, dropped))
    _refuse_too_few(instruct, len(writing.documents), config)
    refuse_leaks(instruct, max_overlap=config.split.max_span_overlap)
    feedback = tuple(feedback)
    said, rated = feedback_samples(
        feedback, documents=_splits(parts), rule=config.split, dropped=dropped
    )
    strangers = _strangers(instruct, writing, where, config, dropped, progress)
    samples = SampleSet(
        manifest=_unstamped(config, writing, parts, where, teacher, dropped, now),
        instruct=instruct,
        preference=(*strangers, *said),
        rated=rated,
    )
    return stamped(samples, shown=documents_behind(feedback, said, rated), now=now)


def _unstamped(
    config: DatasetsConfig,
    writing: Writing,
    parts: Separated,
    where: Cuts,
    teacher: ChatModel | None,
    dropped: Counter[str],
    now: datetime,
) -> SampleSetManifest:
    """Without what follows from the samples."""
    return SampleSetManifest(
        version="",
        created_at=now,
        authors=(writing.author.name,),
        config=config.model_dump(mode="json"),
        cleaning=CLEANING,
        document_ids=(),
        split_by=where.by,
        splits={},
        dropped=dict(dropped),
        teacher=teacher.name if teacher is not None else "",
        leak_share=parts.largest,
    )


def _splits(parts: Separated) -> dict[str, Split]:
    """Document id -> where the document is."""
    return {each.id: split for split, held in parts.documents.items() for each in held}


def _strangers(
    instruct: Sequence[InstructSample],
    writing: Writing,
    where: Cuts,
    config: DatasetsConfig,
    dropped: Counter[str],
    progress: Progress,
) -> tuple[PreferenceSample, ...]:
    """Pairs whose rejected side another author wrote; none where that is not wanted."""
    if config.rejected != "other_author" or not writing.others:
        return ()
    with progress.stage("other authors"):
        spans = other_spans(writing.others, where=where, config=config)
        return other_author_pairs(instruct, spans, dropped=dropped)


def _kept(
    asked: Sequence[tuple[Target, Asked]],
    parts: Separated,
    author: str,
    config: DatasetsConfig,
    dropped: Counter[str],
) -> Iterator[InstructSample]:
    """Rows by split and position; a prompt is asked once, and no held-out row repeats others."""
    order = {split: number for number, split in enumerate(Split)}
    rows = sorted(
        asked,
        key=lambda row: (
            order[row[0].split],
            row[0].document.id,
            row[1].start,
            row[1].end,
            row[1].form,
        ),
    )
    seen: set[str] = set()
    for target, each in rows:
        sample = _sample(target, each, author)
        known = parts.known[target.split]
        shares = map(known.share, (sample.completion, each.instruction))
        if max(shares) > config.split.max_span_overlap:
            dropped["row: repeats what is trained on"] += 1
        elif (prompt := folded_prompt(sample.prompt)) in seen:
            dropped["row: its prompt was asked before"] += 1
        else:
            seen.add(prompt)
            yield sample


def _sample(target: Target, asked: Asked, author: str) -> InstructSample:
    document = target.document
    return InstructSample(
        id=sample_id(
            document.id,
            document.content_hash,
            f"{asked.start}-{asked.end}",
            asked.form,
            asked.instruction,
        ),
        split=target.split,
        form=asked.form,
        prompt=instructed(asked.instruction, author=author),
        completion=document.text[asked.start : asked.end],
        target=TargetSpan(
            document=document.ref(),
            content_hash=document.content_hash,
            start=asked.start,
            end=asked.end,
            heading_path=target.candidate.heading_path,
        ),
    )


def _refuse_too_few(
    samples: Sequence[InstructSample], documents: int, config: DatasetsConfig
) -> None:
    counts = Counter(sample.split for sample in samples)
    for split in Split:
        needed = config.min_train if split is Split.TRAIN else config.min_held_out
        if counts[split] < needed:
            about = ceil(documents * needed / max(counts[split], 1))
            key = "min_train" if split is Split.TRAIN else "min_held_out"
            raise TooFewSamples(
                f"too little writing: {documents:,} documents give {counts[split]:,} {split} rows, "
                f"{needed:,} are needed (about {about:,} such documents); collect more with "
                f"'twin run etl', or lower {key}"
            )
