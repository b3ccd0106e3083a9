"""What may be a target, and what asks for it: the document's own structure, or a teacher.

The same documents and config give the same rows: hashes decide where only some can be taken.
Does not know: which rows are left out for what they repeat, how a row is written.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from llm_engineering.application.datasets.config import DatasetsConfig
from llm_engineering.application.datasets.outline import boilerplate_of
from llm_engineering.application.datasets.spans import Candidate, candidates
from llm_engineering.application.datasets.splits import Separated
from llm_engineering.application.datasets.structure import Asked, structural_prompts
from llm_engineering.application.datasets.teacher import teach
from llm_engineering.application.near_duplicates import link_duplicates, signature
from llm_engineering.domain.documents import Document
from llm_engineering.domain.samples import PromptForm, Split
from llm_engineering.ports.models import ChatModel
from llm_engineering.ports.progress import Progress


@dataclass(frozen=True, slots=True)
class Target:
    """A span of a document that may be learnt."""

    split: Split
    document: Document
    candidate: Candidate

    @property
    def key(self) -> str:
        return f"{self.document.id}:{self.candidate.start}:{self.candidate.end}"

    @property
    def text(self) -> str:
        return self.document.text[self.candidate.start : self.candidate.end]


def distinct_targets(
    parts: Separated, config: DatasetsConfig, dropped: Counter[str], progress: Progress
) -> list[Target]:
    """The distinct candidates of all documents, by split, document and position."""
    held = [(split, each) for split, found in parts.documents.items() for each in found]
    boilerplate = boilerplate_of(
        (document.text for _, document in held), documents=config.spans.boilerplate_documents
    )
    found: list[Target] = []
    with progress.stage("spans", total=len(held)) as advance:
        for split, document in held:
            found += [
                Target(split, document, candidate)
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


def asked_by_structure(
    targets: Sequence[Target], config: DatasetsConfig, dropped: Counter[str]
) -> list[tuple[Target, Asked]]:
    """What the documents themselves ask, so many rows of each document.

    Every span is asked for once before one is asked for twice; a hash decides which come first.
    """
    by_document: dict[str, list[tuple[int, str, Target, Asked]]] = {}
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
    found: list[tuple[Target, Asked]] = []
    for rows in by_document.values():
        rows.sort(key=lambda row: row[:2])
        kept = rows[: config.spans.rows_per_document]
        if len(kept) < len(rows):
            dropped["row: its document has enough"] += len(rows) - len(kept)
        found += [(target, asked) for _, _, target, asked in kept]
    return found


def asked_by_teacher(
    targets: Sequence[Target],
    config: DatasetsConfig,
    teacher: ChatModel,
    author: str,
    dropped: Counter[str],
    progress: Progress,
) -> list[tuple[Target, Asked]]:
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


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
