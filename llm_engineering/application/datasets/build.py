"""Sample sets from cleaned documents: who wrote it, what may be a target, who asks for it.

The same documents, feedback and config give the same set with the same version, whenever and
however often it is made. Does not know: where sets are kept, which trainer reads them.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from llm_engineering.application.clean import CLEANING
from llm_engineering.application.datasets.config import DatasetsConfig
from llm_engineering.application.datasets.feedback import feedback_samples
from llm_engineering.application.datasets.leaks import folded_prompt, refuse_leaks
from llm_engineering.application.datasets.outline import boilerplate_of
from llm_engineering.application.datasets.preference import other_author_pairs, other_spans
from llm_engineering.application.datasets.spans import Candidate, candidates
from llm_engineering.application.datasets.splits import (
    Cuts,
    Separated,
    by_split,
    cuts,
    separated,
)
from llm_engineering.application.datasets.structure import Asked, structural_prompts
from llm_engineering.application.datasets.teacher import teach
from llm_engineering.application.datasets.versions import stamped
from llm_engineering.application.datasets.writing import Writing, collect
from llm_engineering.application.near_duplicates import link_duplicates, signature
from llm_engineering.application.rag.prompts import instructed
from llm_engineering.domain.documents import Document
from llm_engineering.domain.errors import TooFewSamples
from llm_engineering.domain.feedback import Feedback
from llm_engineering.domain.samples import (
    InstructSample,
    PreferenceSample,
    PromptForm,
    SampleSet,
    SampleSetManifest,
    Split,
    TargetSpan,
    sample_id,
)
from llm_engineering.ports.models import ChatModel
from llm_engineering.ports.progress import Progress
from llm_engineering.ports.stores import DocumentStore


@dataclass(frozen=True, slots=True)
class _Target:
    split: Split
    document: Document
    candidate: Candidate

    @property
    def key(self) -> str:
        return f"{self.document.id}:{self.candidate.start}:{self.candidate.end}"

    @property
    def text(self) -> str:
        return self.document.text[self.candidate.start : self.candidate.end]


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
    targets = _targets(parts, config, dropped, progress)
    asked = _structural(targets, config, dropped)
    if teacher is not None:
        asked += _taught(targets, config, teacher, writing.author.name, dropped, progress)
    instruct = tuple(_kept(asked, parts, writing.author.name, config, dropped))
    _refuse_too_few(instruct, len(writing.documents), config)
    refuse_leaks(instruct, max_overlap=config.split.max_span_overlap)
    said, rated = feedback_samples(
        feedback, documents=_splits(parts), rule=config.split, dropped=dropped
    )
    strangers = _strangers(instruct, writing, where, config, dropped, progress)
    samples = SampleSet(
        manifest=SampleSetManifest(
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
        ),
        instruct=instruct,
        preference=(*strangers, *said),
        rated=rated,
    )
    return stamped(samples, now=now)


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


def _targets(
    parts: Separated, config: DatasetsConfig, dropped: Counter[str], progress: Progress
) -> list[_Target]:
    """The distinct candidates of all documents, by split, document and position."""
    held = [(split, each) for split, found in parts.documents.items() for each in found]
    boilerplate = boilerplate_of(
        (document.text for _, document in held), documents=config.spans.boilerplate_documents
    )
    found: list[_Target] = []
    with progress.stage("spans", total=len(held)) as advance:
        for split, document in held:
            found += [
                _Target(split, document, candidate)
                for candidate in candidates(
                    document, rule=config.spans, boilerplate=boilerplate, dropped=dropped
                )
            ]
            advance(1)
    texts = {target.key: target.text for target in found}
    signatures = {key: signature(text) for key, text in texts.items()}
    repeated = link_duplicates(texts, texts=texts, signatures=signatures)
    if repeated:
        dropped["span: near-duplicate of another"] += len(repeated)
    return [target for target in found if target.key not in repeated]


def _structural(
    targets: Sequence[_Target], config: DatasetsConfig, dropped: Counter[str]
) -> list[tuple[_Target, Asked]]:
    """What the documents themselves ask, so many rows of each document.

    Every span is asked for once before one is asked for twice; a hash decides which come first.
    """
    by_document: dict[str, list[tuple[int, str, _Target, Asked]]] = {}
    for target in targets:
        asked = structural_prompts(
            target.document,
            target.candidate,
            forms=config.spans.forms_per_span,
            min_characters=config.spans.min_characters,
        )
        if not asked:
            dropped["span: nothing names it"] += 1
        by_document.setdefault(target.document.id, []).extend(
            (turn, _hashed(target.key), target, each) for turn, each in enumerate(asked)
        )
    found: list[tuple[_Target, Asked]] = []
    for rows in by_document.values():
        rows.sort(key=lambda row: row[:2])
        kept = rows[: config.spans.rows_per_document]
        if len(kept) < len(rows):
            dropped["row: its document has enough"] += len(rows) - len(kept)
        found += [(target, asked) for _, _, target, asked in kept]
    return found


def _taught(
    targets: Sequence[_Target],
    config: DatasetsConfig,
    teacher: ChatModel,
    author: str,
    dropped: Counter[str],
    progress: Progress,
) -> list[tuple[_Target, Asked]]:
    """What the teacher asks, of spans that stand alone, the same ones every time."""
    alone = [target for target in targets if target.candidate.stands]
    shown = sorted(alone, key=lambda target: _hashed(target.key))[: config.teacher.calls]
    instructions = teach(
        [target.text for target in shown],
        teacher=teacher,
        author=author,
        rule=config.teacher,
        dropped=dropped,
        progress=progress,
    )
    return [
        (target, Asked(PromptForm.TEACHER, said, target.candidate.start, target.candidate.end))
        for target, said in zip(shown, instructions, strict=True)
        if said
    ]


def _kept(
    asked: Sequence[tuple[_Target, Asked]],
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


def _sample(target: _Target, asked: Asked, author: str) -> InstructSample:
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


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
