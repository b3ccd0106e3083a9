"""From a sample set to registered versions of the twin: fine-tune, then prefer the author's words.

    base ──sft──▶ version ──answers prompts itself──▶ preference pairs ──dpo──▶ version

Every stage is a job, and what was done before is not done again. Does not know: where jobs run,
how a trainer works, who may promote.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from llm_engineering.application.datasets.preference import Said, with_answers
from llm_engineering.application.datasets.rows import JobRows, job_rows
from llm_engineering.application.training.config import TrainingConfig
from llm_engineering.application.training.run import Done, TrainingPorts, run_job
from llm_engineering.domain.errors import TooFewSamples, TrainingFailed
from llm_engineering.domain.models import ModelManifest
from llm_engineering.domain.reports import TrainedVersion
from llm_engineering.domain.sample_rows import Row
from llm_engineering.domain.samples import RejectedBy, SampleSet, Split
from llm_engineering.domain.training import ADAPTER, MODEL, NANO, GenerateJob, SftJob
from llm_engineering.ports.jobs import ModelRegistry
from llm_engineering.ports.stores import DocumentStore, SampleStore

COPIED_BASE = "base"
"""What a job calls a base that is no hub id: a copy in its own folder."""
ANSWERS = "answers.jsonl"


@dataclass(frozen=True, slots=True)
class Base:
    """The model that is trained further."""

    name: str
    """As a job names it."""
    recorded: str
    """As a version's manifest names it: hub id, or folder; of a nano, relative to the home."""
    folder: Path | None = None
    """To be copied into jobs; None for a hub id."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What training takes beside the config and the samples."""

    ports: TrainingPorts
    registry: ModelRegistry
    documents: DocumentStore
    samples: SampleStore
    home: Path
    now: Callable[[], datetime]
    git_commit: str = ""
    """Of this code, for the manifests."""


def base_of(config: TrainingConfig, samples: SampleSet, *, workshop: Workshop) -> Base:
    """The config's base; `nano` is trained from nothing on the documents of the training split."""
    if config.base == NANO:
        rows = job_rows("pretrain_nano", samples, store=workshop.documents)
        done = run_job(config.nano, ports=workshop.ports, rows=rows, anew=config.anew)
        kept = workshop.registry.keep_base(done.output / MODEL)
        return Base(COPIED_BASE, kept.relative_to(workshop.home).as_posix(), kept)
    folder = Path(config.base).expanduser()
    if folder.is_dir():
        return Base(COPIED_BASE, str(folder.resolve()), folder)
    return Base(config.base, config.base)


def fine_tune(
    config: TrainingConfig, samples: SampleSet, *, base: Base, workshop: Workshop
) -> TrainedVersion:
    """SFT on the set's instruct samples, registered. Raises TooFewSamples, TrainingFailed."""
    job = SftJob(
        base=base.name,
        lora=config.sft.lora,
        optimizer=config.sft.optimizer,
        packing=config.sft.packing,
        quantization=config.sft.quantization,
    )
    rows = job_rows("sft", samples, store=workshop.documents)
    done = run_job(job, ports=workshop.ports, rows=rows, base=base.folder, anew=config.anew)
    return _registered(config, samples, done, base=base, workshop=workshop)


def prefer(
    config: TrainingConfig,
    samples: SampleSet,
    *,
    parent: str,
    base: Base,
    workshop: Workshop,
) -> TrainedVersion:
    """DPO of the version `parent`: the author's words against its own answers, registered.

    Raises TooFewSamples when its answers leave a split without pairs, TrainingFailed.
    """
    adapter = workshop.registry.adapter(parent)
    said = run_job(
        GenerateJob(
            base=base.name,
            adapter=Path(ADAPTER),
            quantization=config.sft.quantization,
            max_tokens=config.preference.max_tokens,
            temperature=config.preference.temperature,
        ),
        ports=workshop.ports,
        rows=_asked(config, samples, workshop),
        base=base.folder,
        adapter=adapter,
        anew=config.anew,
    )
    paired = with_answers(
        samples,
        _answers(said.output),
        rejected_by=RejectedBy.MODEL,
        rejected_from=parent,
        now=workshop.now(),
    )
    workshop.samples.put(paired)
    rows = job_rows("dpo", _on_policy(paired), store=workshop.documents)
    if missing := [split.value for split in Split if not rows[split]]:
        raise TooFewSamples(
            f"no preference pairs in the {' and the '.join(missing)} split; raise "
            "'preference.answers', or collect more writing with 'twin run etl'"
        )
    done = run_job(
        config.dpo_job(base.name),
        ports=workshop.ports,
        rows=rows,
        base=base.folder,
        adapter=adapter,
        anew=config.anew,
    )
    return _registered(config, paired, done, base=base, workshop=workshop, parent=parent)


def _asked(config: TrainingConfig, samples: SampleSet, workshop: Workshop) -> JobRows:
    """Prompts that the model answers itself: always the same ones of a set."""
    most = dict.fromkeys(Split, config.preference.held_out_answers)
    most[Split.TRAIN] = config.preference.answers
    rows = job_rows("generate", samples, store=workshop.documents)
    # Ids are hashes: in their order, prompts of all documents are mixed.
    return {split: sorted(found, key=_id)[: most[split]] for split, found in rows.items()}


def _on_policy(samples: SampleSet) -> SampleSet:
    """Without the pairs that had to do as long as the model had not answered itself."""
    stand_ins = (RejectedBy.BASE, RejectedBy.OTHER_AUTHOR)
    kept = tuple(pair for pair in samples.preference if pair.rejected_by not in stand_ins)
    return samples.model_copy(update={"preference": kept})


def _id(row: Row) -> str:
    return str(row["id"])


def _answers(output: Path) -> Mapping[str, Said]:
    """Of each sample, by its id. Raises TrainingFailed when the job left none."""
    try:
        lines: Sequence[str] = (output / ANSWERS).read_text("utf-8").splitlines()
        return {row["id"]: Said(row["text"], row["ended"]) for row in map(json.loads, lines)}
    except (OSError, ValueError, KeyError) as error:
        raise TrainingFailed(
            f"{output / ANSWERS} holds no answers ({type(error).__name__}); delete "
            f"{output.parent} and train again"
        ) from None


def _registered(
    config: TrainingConfig,
    samples: SampleSet,
    done: Done,
    *,
    base: Base,
    workshop: Workshop,
    parent: str | None = None,
) -> TrainedVersion:
    result = done.result
    if result.adapter_sha256 is None:
        raise TrainingFailed(
            f"the {result.recipe} job left no adapter; see {done.output / ADAPTER}"
        )
    version = f"{result.recipe}-{result.adapter_sha256[:12]}"
    manifest = ModelManifest(
        version=version,
        created_at=workshop.now(),
        author=" and ".join(samples.manifest.authors),
        base=base.recorded,
        nano=result.nano,
        adapter_sha256=result.adapter_sha256,
        parent=parent,
        dataset=samples.manifest.version,
        document_ids=samples.manifest.document_ids,
        config=config.model_dump(mode="json"),
        result=result,
        git_commit=workshop.git_commit,
    )
    workshop.registry.add(manifest, adapter=done.output / ADAPTER)
    return TrainedVersion(version=version, again=done.again, result=result)
