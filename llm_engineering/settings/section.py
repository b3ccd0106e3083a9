"""What every section of the settings tree is made of."""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _split(value: object) -> object:
    """What an environment variable holds, as the list that it stands for."""
    return tuple(filter(None, re.split(r"[,\s]+", value))) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Separated by commas."""
