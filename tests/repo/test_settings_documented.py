"""docs/reference/settings.md and .env.example say what the settings tree says."""

import re
from pathlib import Path

import pytest

from llm_engineering.settings import (
    Settings,
    load_settings,
    setting_names,
)
from tools.reference import env_example, settings_page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "settings.md"
EXAMPLE = ROOT / ".env.example"


def names_in(path: Path) -> set[str]:
    return set(re.findall(r"\bTWIN_\w+", path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", [PAGE, EXAMPLE], ids=lambda path: path.name)
def test_every_setting_is_named_and_nothing_else(path: Path) -> None:
    assert names_in(path) == set(setting_names())


@pytest.mark.parametrize(
    ("path", "content"),
    [(PAGE, settings_page), (EXAMPLE, env_example)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_file_is_what_the_generator_writes(path: Path, content: object) -> None:
    assert callable(content)
    assert path.read_text(encoding="utf-8") == content(), "run 'python -m tools.reference'"


def test_every_setting_has_a_meaning() -> None:
    rows = re.findall(r"^\| `(TWIN_\w+)` \|.*\| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.M)
    assert len(rows) >= 20
    assert [name for name, meaning in rows if not meaning] == []


def test_the_first_two_lines_of_the_example_switch_to_the_servers(tmp_path: Path) -> None:
    paragraphs = EXAMPLE.read_text(encoding="utf-8").split("\n\n")[2:]
    used = [each for each in paragraphs if not each.startswith("# With") or "(default)" in each]
    assert 5 < len(used) < len(paragraphs)
    lines = re.findall(r"^# (TWIN_\w+=.*)$", "\n".join(used), re.M)
    (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")
    assert load_settings({}, env_file=tmp_path / ".env") == Settings()


def test_the_env_file_is_not_committed() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
