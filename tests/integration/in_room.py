"""A training recipe in f32, on a machine that seems to have so many megabytes for each process.

python -m tests.integration.in_room MEGABYTES FOLDER/job.json --output DIR --checkpoints DIR
"""

import sys
from pathlib import Path

from llm_engineering.domain.training import JOBS, DeviceUse, DpoJob, SftJob
from llm_engineering.recipes import places
from llm_engineering.recipes.devices import detect_device
from llm_engineering.recipes.dpo import train_dpo
from llm_engineering.recipes.running import run_recipe
from llm_engineering.recipes.sft import train_sft


def main(megabytes: float, arguments: list[str]) -> int:
    def memory_mb(device: DeviceUse) -> float:
        return megabytes * device.count

    def in_f32() -> DeviceUse:
        return detect_device().model_copy(update={"precision": "float32"})

    vars(places).update(memory_mb=memory_mb, detect_device=in_f32)
    if JOBS.validate_json(Path(arguments[0]).read_bytes()).recipe == "dpo":
        return run_recipe(train_dpo, DpoJob, arguments)
    return run_recipe(train_sft, SftJob, arguments)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
