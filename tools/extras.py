"""The optional parts of the package: what each brings, and which the settings need."""

import importlib.metadata
import re
from collections.abc import Iterator

from llm_engineering.settings import (
    CometSettings,
    EdgeSettings,
    MongoSettings,
    OpenVinoSettings,
    QdrantSettings,
    SageMakerJobsSettings,
    SentenceTransformerSettings,
    Settings,
)

EXTRAS = (
    *("crawl", "embed", "edge", "api", "zenml", "mongo", "qdrant", "torch"),
    *("train", "aws", "comet", "mcp"),
)


def needed_extras(settings: Settings) -> Iterator[str]:
    """Extras without which the chosen backends cannot start."""
    match settings.documents:
        case MongoSettings():
            yield "mongo"
    match settings.vectors:
        case EdgeSettings():
            yield "edge"
        case QdrantSettings():
            yield "qdrant"
    match settings.embedder:
        case OpenVinoSettings():
            yield "embed"
        case SentenceTransformerSettings():
            yield "torch"
    match settings.jobs:
        case SageMakerJobsSettings():
            yield "aws"
    match settings.experiments:
        case CometSettings():
            yield "comet"
    if settings.api.mcp:
        yield "mcp"


def installed(extra: str) -> tuple[list[str], list[str]]:
    """('name version' of what is installed, names of what is not) of an extra's packages."""
    required = importlib.metadata.requires("llm-twin") or []
    versions: list[str] = []
    missing: list[str] = []
    for requirement in required:
        named = re.match(r"([\w.-]+).*;.*\bextra == ['\"]([\w-]+)['\"]", requirement)
        if named is None or named[2] != extra:
            continue
        try:
            versions.append(f"{named[1]} {importlib.metadata.version(named[1])}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(named[1])
    return versions, missing
