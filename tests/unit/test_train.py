"""From samples to registered versions: what each job is given, and what is written down of it."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from llm_engineering.application.training.config import TrainingConfig
from llm_engineering.application.training.run import TrainingPorts
from llm_engineering.application.training.train import Base, Workshop, base_of, fine_tune, prefer
from llm_engineering.domain.errors import TooFewSamples, TrainingFailed
from llm_engineering.domain.samples import RejectedBy, SampleSet, Split
from llm_engineering.domain.training import RESULT, Job
from llm_engineering.infrastructure.job_tree import JobFolderTree
from llm_engineering.infrastructure.memory_samples import MemorySampleStore
from llm_engineering.infrastructure.model_folders import FolderModelRegistry
from llm_engineering.infrastructure.no_experiments import NoExperiments
from llm_engineering.infrastructure.rich_progress import Silent
from tests.unit.corpus import NOW, built, held, notes
from tests.unit.jobs import ScriptedRunner, result_of
from tests.unit.versions import adapter_folder, digest

NANO = TrainingConfig(base="nano")
HUB = TrainingConfig.model_validate(
    {"base": "some/model", "preference": {"answers": 5, "held_out_answers": 2}}
)
HUB_BASE = Base("some/model", "some/model")


class Trainer:
    """Does what the recipes do, without a model; keeps the jobs and the rows it was given."""

    def __init__(self, *, says: str = "Something else altogether, said by a machine.") -> None:
        self.says = says
        self.cut_off: set[str] = set()
        self.jobs: list[Job] = []
        self.rows: list[dict[str, list[dict[str, object]]]] = []
        self.beside: list[set[str]] = []

    def __call__(self, job: Job, folder: Path, output: Path) -> None:
        rows = {
            path.stem: [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            for path in (folder / "data").glob("*.jsonl")
        }
        self.jobs.append(job)
        self.rows.append(rows)
        self.beside.append({path.name for path in folder.iterdir()})
        told: dict[str, object] = {}
        match job.recipe:
            case "pretrain_nano":
                (output / "model").mkdir()
                (output / "model" / "config.json").write_text("{}")
                told = {"nano": True, "adapter_sha256": None}
            case "generate":
                lines = [
                    json.dumps(
                        {"id": row["id"], "text": self.says, "ended": row["id"] not in self.cut_off}
                    )
                    for split in rows.values()
                    for row in split
                ]
                (output / "answers.jsonl").write_text("\n".join(lines), "utf-8")
                told = {"adapter_sha256": None}
            case _:
                adapter = adapter_folder(output / "adapter", seed=len(self.jobs))
                told = {"adapter_sha256": digest(adapter)}
        (output / RESULT).write_text(result_of(job, **told).model_dump_json(), "utf-8")


def said(messages: object) -> str:
    """The last of a row's messages."""
    assert isinstance(messages, list)
    return str(messages[-1]["content"])


@pytest.fixture(scope="module")
def samples() -> SampleSet:
    return built(notes(60))


def workshop(home: Path, trainer: Trainer) -> Workshop:
    return Workshop(
        ports=TrainingPorts(
            runner=ScriptedRunner(trainer, home / "outputs"),
            folders=JobFolderTree(home / "training"),
            experiments=NoExperiments(),
            progress=Silent(),
            say=lambda line: None,
            sleep=lambda seconds: None,
        ),
        registry=FolderModelRegistry(home / "models"),
        documents=held(notes(60)),
        samples=MemorySampleStore(),
        home=home,
        now=lambda: NOW + timedelta(days=1),
        git_commit="c0ffee",
    )


def test_a_nano_reads_only_the_documents_that_are_trained_on(
    tmp_path: Path, samples: SampleSet
) -> None:
    trainer = Trainer()

    base = base_of(NANO, samples, workshop=workshop(tmp_path, trainer))

    split_of = {each.target.document.id: each.split for each in samples.instruct}
    for split, rows in trainer.rows[0].items():
        assert {split_of[str(row["id"])] for row in rows} == {Split(split)}
    assert base.folder == tmp_path / base.recorded
    assert not base.recorded.startswith("training/")
    assert (tmp_path / base.recorded / "config.json").exists()


def test_a_nano_outlives_the_folder_of_its_job(tmp_path: Path, samples: SampleSet) -> None:
    place = workshop(tmp_path, Trainer())
    base = base_of(NANO, samples, workshop=place)
    made = fine_tune(NANO, samples, base=base, workshop=place)
    shutil.rmtree(tmp_path / "training")

    recorded = place.registry.get(made.version).manifest.base

    assert (tmp_path / recorded / "config.json").read_text() == "{}"
    assert base_of(NANO, samples, workshop=place) == base, "the same model is kept once"


def test_training_anew_runs_every_job_once_more_and_none_twice(
    tmp_path: Path, samples: SampleSet
) -> None:
    trainer = Trainer()
    place = workshop(tmp_path, trainer)

    def all_of_it(config: TrainingConfig) -> list[str]:
        del trainer.jobs[:]
        base = base_of(config, samples, workshop=place)
        parent = fine_tune(config, samples, base=base, workshop=place)
        base = base_of(config, samples, workshop=place)
        prefer(config, samples, parent=parent.version, base=base, workshop=place)
        return [job.recipe for job in trainer.jobs]

    plain = NANO.model_copy(update={"preference": HUB.preference})
    anew = plain.model_copy(update={"anew": "monday"})
    every = ["pretrain_nano", "sft", "generate", "dpo"]

    assert [all_of_it(each) for each in (plain, plain, anew, anew)] == [every, [], every, []]


def test_a_folder_is_copied_into_the_job_and_a_hub_id_is_only_named(
    tmp_path: Path, samples: SampleSet
) -> None:
    trainer = Trainer()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    place = workshop(tmp_path, trainer)
    mine = TrainingConfig(base=str(tmp_path / "mine"))

    for config in (mine, HUB):
        fine_tune(config, samples, base=base_of(config, samples, workshop=place), workshop=place)

    assert [getattr(job, "base", None) for job in trainer.jobs] == ["base", "some/model"]
    assert ["base" in beside for beside in trainer.beside] == [True, False]


def test_fine_tuning_registers_a_version_that_says_what_it_was_made_from(
    tmp_path: Path, samples: SampleSet
) -> None:
    place = workshop(tmp_path, Trainer())

    made = fine_tune(HUB, samples, base=HUB_BASE, workshop=place)

    manifest = place.registry.get(made.version).manifest
    assert made.version == f"sft-{manifest.adapter_sha256[:12]}"
    assert manifest.dataset == samples.manifest.version
    assert manifest.document_ids == samples.manifest.document_ids
    assert (manifest.base, manifest.git_commit) == ("some/model", "c0ffee")
    assert TrainingConfig.model_validate(manifest.config) == HUB
    assert (place.registry.adapter(made.version) / "adapter_model.safetensors").exists()


def test_preferences_reject_what_the_model_says_itself(tmp_path: Path, samples: SampleSet) -> None:
    trainer = Trainer()
    place = workshop(tmp_path, trainer)
    parent = fine_tune(HUB, samples, base=HUB_BASE, workshop=place)

    made = prefer(HUB, samples, parent=parent.version, base=HUB_BASE, workshop=place)

    assert [job.recipe for job in trainer.jobs] == ["sft", "generate", "dpo"]
    asked, pairs = trainer.rows[1], trainer.rows[2]
    assert {split: len(rows) for split, rows in asked.items()} == {
        "train": 5,
        "validation": 2,
        "test": 2,
    }
    by_prompt = {each.prompt[-1].content: each.completion for each in samples.instruct}
    for split, rows in pairs.items():
        assert [said(row["rejected"]) for row in rows] == [trainer.says] * len(asked[split])
        assert all(said(row["chosen"]) == by_prompt[said(row["prompt"])] for row in rows)
    manifest = place.registry.get(made.version).manifest
    assert manifest.parent == parent.version
    kept = place.samples.get(manifest.dataset).preference
    assert {pair.rejected_from for pair in kept if pair.rejected_by is RejectedBy.MODEL} == {
        parent.version
    }


def test_answers_that_were_cut_off_are_told_from_those_that_ended(
    tmp_path: Path, samples: SampleSet
) -> None:
    trainer = Trainer()
    place = workshop(tmp_path, trainer)
    parent = fine_tune(HUB, samples, base=HUB_BASE, workshop=place)
    trainer.cut_off = {min(each.id for each in samples.instruct if each.split is Split.TRAIN)}

    made = prefer(HUB, samples, parent=parent.version, base=HUB_BASE, workshop=place)

    ended = [row["rejected_ended"] for row in trainer.rows[2]["train"]]
    assert (ended.count(False), ended.count(True)) == (1, 4)
    kept = place.samples.get(place.registry.get(made.version).manifest.dataset)
    assert [pair.rejected_ended for pair in kept.preference].count(False) == 1


def test_answers_are_sampled_from_the_base_as_it_was_trained(
    tmp_path: Path, samples: SampleSet
) -> None:
    trainer = Trainer()
    place = workshop(tmp_path, trainer)
    sft = HUB.sft.model_copy(update={"quantization": "4bit"})
    config = HUB.model_copy(update={"sft": sft})
    parent = fine_tune(config, samples, base=HUB_BASE, workshop=place)
    prefer(config, samples, parent=parent.version, base=HUB_BASE, workshop=place)

    assert [getattr(job, "quantization", None) for job in trainer.jobs] == ["4bit"] * 3


def test_doing_all_of_it_again_runs_nothing(tmp_path: Path, samples: SampleSet) -> None:
    trainer = Trainer()
    place = workshop(tmp_path, trainer)

    def all_of_it() -> tuple[str, str, bool]:
        parent = fine_tune(HUB, samples, base=HUB_BASE, workshop=place)
        made = prefer(HUB, samples, parent=parent.version, base=HUB_BASE, workshop=place)
        return parent.version, made.version, parent.again and made.again

    first, again = all_of_it(), all_of_it()

    assert (first[:2], again[:2]) == (again[:2], first[:2])
    assert (first[2], again[2]) == (False, True)
    assert len(trainer.jobs) == 3


def test_a_model_that_says_what_the_author_wrote_leaves_no_pairs(
    tmp_path: Path, samples: SampleSet
) -> None:
    place = workshop(tmp_path, Trainer(says=""))
    parent = fine_tune(HUB, samples, base=HUB_BASE, workshop=place)

    with pytest.raises(TooFewSamples, match="has no rows for dpo"):
        prefer(HUB, samples, parent=parent.version, base=HUB_BASE, workshop=place)


def test_a_job_without_answers_is_told_with_its_folder(tmp_path: Path, samples: SampleSet) -> None:
    class Silenced(Trainer):
        def __call__(self, job: Job, folder: Path, output: Path) -> None:
            super().__call__(job, folder, output)
            (output / "answers.jsonl").unlink(missing_ok=True)

    place = workshop(tmp_path, Silenced())
    parent = fine_tune(HUB, samples, base=HUB_BASE, workshop=place)

    with pytest.raises(TrainingFailed, match=r"answers\.jsonl holds no answers .* train again"):
        prefer(HUB, samples, parent=parent.version, base=HUB_BASE, workshop=place)
