"""The image of training jobs holds what it runs, and nothing private is sent to its builder."""

import re
from importlib.util import find_spec

from llm_engineering.infrastructure.sagemaker_jobs import ENTRY
from tests.repo.pages import ROOT

DOCKERFILE = ROOT / "docker" / "train.Dockerfile"
TEXT = DOCKERFILE.read_text(encoding="utf-8")
COPIED = [
    source
    for line in re.findall(r"^COPY (.+)$", TEXT, re.MULTILINE)
    for source in line.split()[:-1]
]


def test_its_base_is_pinned() -> None:
    assert re.search(r"^FROM python:3\.(11|12)\.\d+-\S+$", TEXT, re.MULTILINE)


def test_it_copies_what_exists_and_every_package() -> None:
    assert [source for source in COPIED if not (ROOT / source).exists()] == []
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= set(COPIED)


def test_the_builder_is_sent_what_is_copied_and_nothing_else() -> None:
    ignored = DOCKERFILE.with_name(f"{DOCKERFILE.name}.dockerignore").read_text(encoding="utf-8")
    first, *rest = [line for line in ignored.splitlines() if line and not line.startswith("#")]
    assert first == "*"
    sent = {line.removeprefix("!").removesuffix("/**") for line in rest if line.startswith("!")}
    assert sent == set(COPIED)


def test_its_entry_point_is_the_one_that_jobs_are_started_with() -> None:
    assert f'ENTRYPOINT ["python", "-m", "{ENTRY}"]' in TEXT
    assert find_spec(ENTRY) is not None
