"""Importing does nothing, and `twin --help` imports next to nothing.

Every test looks at a fresh interpreter: in this one everything has long been imported.
"""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("llm_engineering", "pipelines", "steps", "tools")
CORE = ("llm_engineering.domain", "llm_engineering.ports", "llm_engineering.application")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = ("numpy", "openvino", "pydantic", "qdrant_client", "rich", "torch", "yaml", "zenml")


def modules_of(package: str) -> list[str]:
    folder = ROOT / package.replace(".", "/")
    paths = [path.relative_to(ROOT).with_suffix("") for path in folder.rglob("*.py")]
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    assert names, f"{package} has modules"
    return sorted(names)


def vendors() -> list[str]:
    """What the core may not import, by the project's own import contract."""
    for contract in PYPROJECT["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "forbidden":
            return [str(name) for name in contract["forbidden_modules"]]
    raise AssertionError("pyproject.toml has no contract that forbids vendors")


def run(script: str, *arguments: str, cwd: Path = ROOT, **environ: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


_TWIN = """
import json, sys
from tools.cli import main
assert main(sys.argv[1:]) == 0
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def imported_by(*arguments: str) -> set[str]:
    """Top-level packages that a `twin` command leaves imported."""
    return set(json.loads(run(_TWIN, *arguments).splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_twin_itself_imports_nothing_heavy(arguments: list[str]) -> None:
    assert imported_by(*arguments).isdisjoint(HEAVY)


def test_twin_itself_imports_only_click_and_the_standard_library() -> None:
    ours = {*sys.stdlib_module_names, "__main__", "click", *PACKAGES}
    extra = {name for name in imported_by("--help") - ours if not name.startswith("_")}
    assert extra == set()


@pytest.mark.parametrize(
    "command",
    [
        "ask",
        "config",
        "doctor",
        "documents",
        "mcp",
        "model",
        "run",
        "search",
        "serve",
        "settings",
        "stack",
    ],
)
def test_the_help_of_a_command_needs_neither_zenml_nor_torch(command: str) -> None:
    assert imported_by(command, "--help").isdisjoint({"torch", "zenml", "openvino"})


_BLOCKED = """
import importlib, json, sys
vendors, modules = map(json.loads, sys.argv[1:])

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in vendors:
            raise ImportError(f"{name} is a vendor")

sys.meta_path.insert(0, Blocked())
for module in modules:
    importlib.import_module(module)
print("imported", len(modules))
"""


def test_the_core_imports_with_every_vendor_blocked() -> None:
    modules = [name for package in CORE for name in modules_of(package)]
    said = run(_BLOCKED, json.dumps(vendors()), json.dumps(modules))
    assert said == f"imported {len(modules)}\n"


_WATCHED = '''
"""Import every module and report what our own code, run by the import, touches.

Reads of files and of the environment count when the nearest caller outside the standard library
is ours: what a vendor does while it is imported is the vendor's business. The network is nobody's.
"""
import builtins, importlib, json, os, sys, sysconfig
import pydantic, pydantic.dataclasses

class Warm(pydantic.BaseModel):
    """Makes pydantic look for its plugins before we look."""

packages, vendors, modules = map(json.loads, sys.argv[1:])
stdlib = sysconfig.get_paths()["stdlib"]
touched, module = [], ""

def ours():
    frame = sys._getframe(2)
    while frame is not None:
        name, file = frame.f_globals.get("__name__", ""), frame.f_code.co_filename
        if name.partition(".")[0] in packages:
            return True
        if "importlib" in file or not (file.startswith((stdlib, "<frozen")) or name == "__main__"):
            return False
        if "site-packages" in file:
            return False
        frame = frame.f_back
    return False

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.listen"):
        touched.append(f"{module}: {event}")
    elif event in ("open", "os.mkdir", "os.listdir", "os.scandir", "subprocess.Popen") and ours():
        touched.append(f"{module}: {event} {arguments[0]}")

class Watched(type(os.environ)):
    def __getitem__(self, name):
        if ours():
            touched.append(f"{module}: environment {name}")
        return super().__getitem__(name)

os.environ.__class__ = Watched
sys.addaudithook(watch)
missing = []
for module in modules:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] not in vendors:
            raise
        missing.append(error.name)
sys.stdout.write("\\n" + json.dumps({"touched": touched, "missing": missing}))
'''


def watch_imports(modules: list[str], cwd: Path) -> dict[str, Any]:
    """What importing `modules` in the empty folder `cwd` touches, and what it leaves there."""
    said = run(
        _WATCHED,
        json.dumps(PACKAGES),
        json.dumps(vendors()),
        json.dumps(modules),
        cwd=cwd,
        HOME=str(cwd / "home"),
        ZENML_CONFIG_PATH=str(cwd / "zenml"),
        ZENML_ANALYTICS_OPT_IN="false",
    )
    seen: dict[str, Any] = json.loads(said.splitlines()[-1])
    seen["left"] = sorted(path.name for path in cwd.iterdir())
    return seen


def test_importing_any_module_touches_nothing(tmp_path: Path) -> None:
    modules = [name for package in PACKAGES for name in modules_of(package)]
    seen = watch_imports(modules, tmp_path)
    assert seen["touched"] == []
    assert [name for name in seen["left"] if name not in ("home", "zenml")] == []


@pytest.mark.parametrize(
    ("line", "noticed"),
    [
        ("import os; os.environ.get('HOME')", "environment HOME"),
        ("import os; os.getenv('HOME')", "environment HOME"),
        ("import pathlib; pathlib.Path('x').exists() or open('/dev/null')", "open /dev/null"),
        ("import pathlib; pathlib.Path('/dev/null').read_text()", "open /dev/null"),
        ("import socket; socket.getaddrinfo('127.0.0.1', 1)", "socket.getaddrinfo"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen true"),
    ],
)
def test_a_module_that_does_something_is_noticed(tmp_path: Path, line: str, noticed: str) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "careless.py").write_text(line, encoding="utf-8")
    assert f"tools.careless: {noticed}" in watch_careless(tmp_path)


def watch_careless(folder: Path) -> list[str]:
    said = run(
        _WATCHED,
        json.dumps(PACKAGES),
        json.dumps(vendors()),
        '["tools.careless"]',
        cwd=folder,
        PYTHONPATH=str(folder),
    )
    touched: list[str] = json.loads(said.splitlines()[-1])["touched"]
    return touched
