"""How fast the recipe trains beside a bare TRL script with the same settings.

    python -m tools.bench_train [--job FOLDER] [--rows 96] [--rounds 3] [--batch-size 1]

Both train one epoch of the same rows on the same base in this process, in turns, and the median of
each is told with their ratio. Without a job's folder the base is a small Llama with random weights
and the rows are made up; speed does not depend on what is written.
"""

import argparse
import io
import random
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_engineering.domain.training import LoraRule, OptimizerRule, PretrainNanoJob, SftJob
from llm_engineering.recipes import rows as data
from llm_engineering.recipes import sft
from llm_engineering.recipes.adapters import with_lora
from llm_engineering.recipes.bases import load_model, load_tokenizer, locate
from llm_engineering.recipes.checkpoints import Progress
from llm_engineering.recipes.following import Follower, follow, trainer_arguments
from llm_engineering.recipes.held_out import held_out_loss
from llm_engineering.recipes.meter import Meter, work_of
from llm_engineering.recipes.packing import alone, fitting
from llm_engineering.recipes.places import Place, here
from llm_engineering.recipes.pretrain_nano import new_model, train_tokenizer
from llm_engineering.recipes.running import Run, read_job, settle_environment
from llm_engineering.recipes.turns import tokenize

if TYPE_CHECKING:
    from transformers.trainer_callback import TrainerCallback

WORDS = ("note", "SQLite", "plugin", "today", "I", "wrote", "a", "query", "and", "it", "works", "—")


def main(arguments: Sequence[str]) -> int:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(prog="tools.bench_train", description=__doc__)
    parser.add_argument("--job", type=Path, help="a folder with job.json, data and a base")
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, help="sequences at once, instead of the job's")
    named = parser.parse_args(list(arguments))
    settle_environment(None, Path())
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as scratch:
        folder = made_up(Path(scratch) / "job") if named.job is None else named.job.resolve()
        job, place = read_job(folder / "job.json", sft.JOB), here("sft")
        if named.batch_size is not None:
            rule = job.optimizer.model_copy(update={"batch_size": named.batch_size})
            job = job.model_copy(update={"optimizer": rule})
        rows = data.read_rows(folder / job.data, data.TRAIN, data.SftRow, least=16)[: named.rows]
        print(f"{place.device.name}, {place.device.precision}: {place.device.reason}")
        rule = job.optimizer
        print(f"{len(rows)} rows, batches of {rule.batch_size} x {rule.max_length} tokens")
        ours: list[float] = []
        bare: list[float] = []
        told: dict[str, Any] = {}
        for number in range(named.rounds):
            output = Path(scratch) / f"round {number}"
            bare.append(rate_of_bare_trl(job, folder, rows, place, output / "bare"))
            rate, told = rate_of_recipe(job, folder, rows, place, output / "recipe")
            ours.append(rate)
            print(f"round {number + 1}: recipe {ours[-1]:,.0f}, TRL {bare[-1]:,.0f} tokens/s")
            shutil.rmtree(output)
        ratio = statistics.median(ours) / statistics.median(bare)
        print(f"median: recipe {statistics.median(ours):,.0f}, TRL {statistics.median(bare):,.0f}")
        print(f"ratio {ratio:.3f}, padding {told['padding_share']:.2%}, MFU {told['mfu']:.1%}")
    return 0


def made_up(folder: Path) -> Path:
    """A job with a small random base and rows as long as spans of notes are."""
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(20, 260))) for _ in range(400)]
    shape = PretrainNanoJob(vocabulary=1_024)
    tokenizer = train_tokenizer(texts, vocabulary=shape.vocabulary, context=shape.context)
    new_model(shape, tokenizer).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    asked = (data.Turn(role="user", content="Write a note."),)
    rows = [
        data.SftRow(
            id=str(n), prompt=asked, completion=(data.Answer(role="assistant", content=text),)
        )
        for n, text in enumerate(texts)
    ]
    (folder / "data").mkdir()
    lines = "".join(row.model_dump_json() + "\n" for row in rows)
    (folder / "data" / "train.jsonl").write_text(lines, encoding="utf-8")
    job = SftJob(
        base="base", lora=LoraRule(), optimizer=OptimizerRule(max_length=512, batch_size=2)
    )
    (folder / "job.json").write_text(job.model_dump_json(), encoding="utf-8")
    return folder


def rate_of_recipe(
    job: SftJob, folder: Path, rows: Sequence[data.SftRow], place: Place, output: Path
) -> tuple[float, dict[str, Any]]:
    """Tokens per second of one epoch with all that the recipe does at its steps."""
    output.mkdir(parents=True)
    run = Run(folder, output, output / "checkpoints", events=io.StringIO())
    base = locate(job.base, folder)
    tokenizer = load_tokenizer(base)
    tokens, _ = fitting(
        [tokenize(tokenizer, row.prompt, row.completion[0]) for row in rows],
        length=job.optimizer.max_length,
    )
    model = with_lora(load_model(base, place.device), job.lora, seed=0)
    meter = Meter(place.device)
    once = job.optimizer.model_copy(update={"evaluations": 1, "max_steps": None, "epochs": 1.0})
    follower = Follower(
        run,
        once,
        meter,
        lambda: held_out_loss(model, alone(tokens[:1]), place.device),
        Progress(job=""),
    )
    job = job.model_copy(update={"optimizer": once})
    trainer = sft.sft_trainer(job, run, place.device, model, tokenizer, tokens, follower, False)
    follow(trainer, follower)
    told = meter.throughput(
        steps=trainer.state.global_step,
        work=work_of(model, row_length=sum(len(row.ids) for row in tokens) / len(tokens)),
        rate=place.operations_per_s,
    )
    return told.tokens_per_s, told.model_dump()


def rate_of_bare_trl(
    job: SftJob, folder: Path, rows: Sequence[data.SftRow], place: Place, output: Path
) -> float:
    """What TRL's documentation shows: tokens per second of one epoch of its packing."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers.trainer_callback import PrinterCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    output.mkdir(parents=True)
    base = locate(job.base, folder)
    run = Run(folder, output, output, events=io.StringIO())
    once = job.optimizer.model_copy(update={"max_steps": None, "epochs": 1.0})
    trainer = SFTTrainer(
        model=load_model(base, place.device),
        args=SFTConfig(
            **trainer_arguments(once, run, place.device),
            gradient_checkpointing=False,
            packing=True,
            packing_strategy="bfd_split",
            max_length=job.optimizer.max_length,
            completion_only_loss=True,
        ),
        train_dataset=Dataset.from_list([data.without_id(row) for row in rows]),
        processing_class=load_tokenizer(base),
        peft_config=LoraConfig(
            r=job.lora.rank,
            lora_alpha=job.lora.alpha,
            lora_dropout=job.lora.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    clock: list[float] = []
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(reads_clock(clock))
    trainer.train()
    counted = [told["num_tokens"] for told in trainer.state.log_history if "num_tokens" in told]
    return float(counted[-1] / (clock[-1] - clock[0]))


def reads_clock(into: list[float]) -> "TrainerCallback":
    """Reads the clock where the recipe's meter does: before the first step, after each."""
    from transformers.trainer_callback import TrainerCallback

    class Clock(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            into.append(time.perf_counter())

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            into.append(time.perf_counter())

    return Clock()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
