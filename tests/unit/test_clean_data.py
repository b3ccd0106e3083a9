"""Forgetting deletes the home of a twin, and nobody else's folder."""

from pathlib import Path

import pytest

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.settings import MongoSettings, Settings
from tools.clean_data import clean_data


def test_a_home_is_deleted_whole(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "index" / "gen-1").mkdir(parents=True)
    clean_data(Settings(home=home))
    assert not home.exists()
    assert tmp_path.exists()


def test_a_folder_that_is_no_home_stays(tmp_path: Path) -> None:
    (tmp_path / "thesis.md").write_text("Years of work.", encoding="utf-8")
    with pytest.raises(InvalidInput, match="check TWIN_HOME"):
        clean_data(Settings(home=tmp_path))
    assert (tmp_path / "thesis.md").exists()


def test_what_servers_keep_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean_data(Settings(home=tmp_path / "none", documents=MongoSettings(kind="mongo")))
    assert "documents in mongo stay" in capsys.readouterr().err
