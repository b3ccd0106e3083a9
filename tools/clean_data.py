"""`make clean-data`: forget everything that is kept in TWIN_HOME."""

import shutil
from pathlib import Path

import click

from llm_engineering.domain.errors import InvalidInput, TwinError
from llm_engineering.settings import EdgeSettings, Settings, SqliteSettings, load_settings
from tools.output import note

OURS = frozenset({"documents.db", "index", "logs", "reports", "run", "zenml"})
"""What a home holds; a folder with none of it is somebody's else."""


def clean_data(settings: Settings) -> None:
    """Delete the home folder. Raises InvalidInput for a folder that is no home of a twin."""
    home: Path = settings.home
    if home.exists():
        if not OURS.intersection(path.name for path in home.iterdir()):
            raise InvalidInput(f"{home} holds nothing of a twin, so it stays; check TWIN_HOME")
        shutil.rmtree(home)
    click.echo(f"forgot {home}")
    if not isinstance(settings.documents, SqliteSettings):
        note(f"documents in {settings.documents.kind} stay: drop its database yourself")
    if not isinstance(settings.vectors, EdgeSettings):
        note(f"vectors in {settings.vectors.kind} stay: delete its collections yourself")


if __name__ == "__main__":
    try:
        clean_data(load_settings())
    except TwinError as error:
        raise SystemExit(f"twin: error: {error}") from None
