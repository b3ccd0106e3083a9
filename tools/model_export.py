"""What `twin model export` does: a version as files that other programs load.

`adapter` and `merged` need nothing else. OpenVINO's and llama.cpp's converters ask for other
releases of our libraries, so they run in an environment of their own and are named by a command.

Does not know: the registry; who serves what comes out.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, assert_never

from llm_engineering.domain.errors import InvalidInput, MissingExtra, TrainingFailed
from llm_engineering.domain.training import ADAPTER, ERROR, JOB, MODEL, MergeJob
from tools.output import note

Format = Literal["adapter", "merged", "openvino", "gguf"]
Weights = Literal["f16", "int8"]

RECIPE = "llm_engineering.recipes.merge"
PACKAGES = ("torch", "transformers", "peft")
"""What merging needs of the extra `train`."""
TOOLS = {"openvino": "optimum-cli", "gguf": "convert_hf_to_gguf.py"}
GUIDE = "docs/how-to/export-a-model.md"

_OPENVINO_WEIGHTS = {"f16": "fp16", "int8": "int8"}
_GGUF_WEIGHTS = {"f16": "f16", "int8": "q8_0"}


@dataclass(frozen=True)
class Export:
    """What is to be exported, and how."""

    form: Format
    base: str
    """Hub id or folder."""
    adapter: Path
    weights: Weights
    tool: str | None
    """Command of the converter; None: as it is called on the PATH."""


def export_model(export: Export, output: Path) -> None:
    """Write the export to `output`, whole or not at all; for GGUF a file, else a folder.

    Raises InvalidInput for a place that is taken or a tool that is missing, MissingExtra, or
    TrainingFailed with what the recipe or the tool said last.
    """
    if output.exists():
        raise InvalidInput(f"{output} exists; name a place that does not")
    command = None if export.form in ("adapter", "merged") else tool_command(export)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=output.parent) as scratch:
            made = _made(export, Path(scratch), command)
            made.rename(output)
    except OSError as error:
        problem = error.strerror or error
        raise InvalidInput(f"cannot write {output}: {problem}; choose another place") from None


def _made(export: Export, scratch: Path, command: Sequence[str] | None) -> Path:
    made = scratch / "made"
    match export.form:
        case "adapter":
            shutil.copytree(export.adapter, made)
            return made
        case "merged":
            return merged(export, scratch)
        case "openvino":
            assert command is not None
            weights = _OPENVINO_WEIGHTS[export.weights]
            task = ["--task", "text-generation-with-past", "--weight-format", weights]
            model = merged(export, scratch)
            note(f"converting with {command[0]}")
            _convert([*command, "export", "openvino", "--model", str(model), *task, str(made)])
            _compare(model, made)
            return made
        case "gguf":
            assert command is not None
            kind = ["--outfile", str(made), "--outtype", _GGUF_WEIGHTS[export.weights]]
            model = merged(export, scratch)
            note(f"converting with {command[0]}")
            _convert([*command, str(model), *kind])
            return made
        case unreachable:
            assert_never(unreachable)


def merged(export: Export, scratch: Path) -> Path:
    """Folder of base and adapter as one model, made by the recipe in a process of its own."""
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingExtra(package, extra="train")
    base = Path(export.base)
    job = MergeJob(
        base=str(base.resolve()) if base.is_dir() else export.base, adapter=export.adapter.resolve()
    )
    (scratch / JOB).write_text(job.model_dump_json(), encoding="utf-8")
    note(f"merging {ADAPTER} and base")
    output = scratch / "merge"
    places = ["--output", str(output), "--checkpoints", str(scratch / "checkpoints")]
    ended = subprocess.run(
        [sys.executable, "-m", RECIPE, str(scratch / JOB), *places],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ended.returncode:
        error = output / ERROR
        said = error.read_text("utf-8") if error.exists() else ended.stderr
        raise TrainingFailed(f"cannot merge: {_last_line(said)}")
    return output / MODEL


def tool_command(export: Export) -> list[str]:
    """The converter as an argument list. Raises InvalidInput when it cannot be found."""
    named = shlex.split(export.tool or TOOLS[export.form])
    found = shutil.which(named[0]) if named else None
    if found is None or not all(Path(each).exists() for each in named[1:]):
        missing = export.tool or TOOLS[export.form]
        raise InvalidInput(
            f"no {missing!r}: converting to {export.form} needs an environment of its own; "
            f"make it as {GUIDE} says and name it with --tool"
        )
    return [found, *named[1:]]


def _convert(command: Sequence[str]) -> None:
    """Offline: the model is a folder. Raises TrainingFailed with the tool's last line."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    ended = subprocess.run(
        command,
        env=environment | {"HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise TrainingFailed(
            f"{Path(command[0]).name} ended with exit code {ended.returncode}: "
            f"{_last_line(ended.stdout)}"
        )


def _compare(model: Path, exported: Path) -> None:
    """Say how often the export chooses the token that the model chooses, and refuse a wrong one."""
    if find_spec("openvino") is None:
        note("not compared with the model: 'openvino' is not installed (extra 'embed')")
        return
    from tools.openvino_agreement import LEAST, agreement

    share = agreement(model, exported)
    if share < LEAST:
        raise TrainingFailed(
            f"the export chooses another token than the model in {1 - share:.0%} of all places, "
            f"more than {1 - LEAST:.0%}; export with --weights f16"
        )
    note(f"the export chooses the model's own next token in {share:.1%} of all places")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
