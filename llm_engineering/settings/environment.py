"""How `TWIN_*` names fill the settings tree, from `.env` and the environment on top.

`TWIN_DOCUMENTS__KIND=mongo` and the like switch one section; a misspelled name is an error.
"""

import difflib
import io
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

from dotenv.parser import parse_stream
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from llm_engineering.domain.errors import InvalidSettings
from llm_engineering.settings.section import Section
from llm_engineering.settings.tree import Settings

PREFIX = "TWIN_"
FOREIGN = ("TWIN_TEST_",)
"""Prefixes that the test suite owns."""

Origin = Literal["default", ".env", "environment"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One field that a `TWIN_*` name fills; kinds of one section may share a name."""

    name: str
    """E.g. `TWIN_EMBEDDER__MODEL`."""
    field: str
    """Name of the field in `owner`."""
    owner: type[Section]
    kind: str | None = None
    """Kind of the section that reads it; None: it is always read."""

    @property
    def info(self) -> FieldInfo:
        return self.owner.model_fields[self.field]

    @property
    def secret(self) -> bool:
        return SecretStr in _members(self.info.annotation)


def load_settings(
    environ: Mapping[str, str] = os.environ, *, env_file: Path = Path(".env")
) -> Settings:
    """Read `TWIN_*` from `env_file`, then from `environ` on top; an empty value is no value.

    Raises InvalidSettings with one line that names the variable, its problem and the fix.
    """
    given = given_settings(environ, env_file=env_file)
    try:
        return Settings.model_validate(_nested({name: value for name, (value, _) in given.items()}))
    except ValidationError as error:
        raise InvalidSettings(_first_problem(error, given)) from None


def given_settings(
    environ: Mapping[str, str] = os.environ, *, env_file: Path = Path(".env")
) -> dict[str, tuple[str, Origin]]:
    """Name -> (value, where it came from) of what is set; values are not yet validated."""
    merged: dict[str, tuple[str, Origin]] = {}
    sources: tuple[tuple[Origin, Mapping[str, str]], ...] = (
        (".env", _read_env_file(env_file)),
        ("environment", environ),
    )
    for origin, values in sources:
        for name, value in values.items():
            if name.upper().startswith(PREFIX) and not name.upper().startswith(FOREIGN):
                merged[name.upper()] = (value, origin)
    known = set(setting_names())
    for name in sorted(merged.keys() - known):
        where = f" in {env_file}" if merged[name][1] == ".env" else ""
        raise InvalidSettings(f"unknown setting {name}{where}; {_hint(name, known)}")
    return {name: given for name, given in merged.items() if given[0]}


def setting_names() -> Iterator[str]:
    """Every environment variable that is read, once each, e.g. `TWIN_API__PORT`."""
    yield from dict.fromkeys(setting.name for setting in all_settings())


def all_settings() -> Iterator[Setting]:
    """Every field of every kind of every section, in the order of the tree."""
    for name, field in Settings.model_fields.items():
        sections = [member for member in _members(field.annotation) if _is_section(member)]
        if not sections:
            yield Setting(f"{PREFIX}{name}".upper(), name, Settings)
        for section in sections:
            kinds = section.model_fields.get("kind")
            kind = get_args(kinds.annotation)[0] if kinds else None
            for key in section.model_fields:
                yield Setting(f"{PREFIX}{name}__{key}".upper(), key, section, kind)


def redacted(value: str) -> str:
    """`value` without the user and password of a URL; rather too much hidden than too little."""
    return re.sub(r"(\w+://)?\S*@", r"\1**********@", value)


def _hint(name: str, known: Collection[str]) -> str:
    if f"{name}__KIND" in known:
        return f"did you mean {name}__KIND?"
    bare = [each.removeprefix(PREFIX) for each in known]
    close = difflib.get_close_matches(name.removeprefix(PREFIX), bare, n=1)
    return f"did you mean {PREFIX}{close[0]}?" if close else "run 'twin settings show' for all"


def _read_env_file(path: Path) -> dict[str, str]:
    """NAME=value lines. `${NAME}` stays as written: a secret may hold any character."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise InvalidSettings(
            f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise InvalidSettings(
            f"cannot read {path}: {error.strerror}; make it a file that you may read"
        ) from None
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        ours = (binding.key or "").upper().startswith(PREFIX)
        if binding.error or (ours and binding.value is None):
            raise InvalidSettings(f"{path}, line {binding.original.line}: write it as NAME=value")
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values


def _members(annotation: object) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return get_args(annotation)
    return (annotation,)


def _is_section(kind: object) -> TypeGuard[type[Section]]:
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


def _first_problem(error: ValidationError, given: Mapping[str, tuple[str, Origin]]) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    location = [str(part) for part in problem["loc"]]
    kind = location.pop(1) if len(location) == 3 else ""  # section, kind, key
    name = f"{PREFIX}{'__'.join(location)}".upper()
    fields = [setting for setting in all_settings() if setting.name == name]
    message = re.sub("^(Input|String|Value error,) ", "", problem["msg"])
    match problem["type"]:
        case "extra_forbidden":
            switch = f"{PREFIX}{location[0]}__KIND".upper()
            wanted = " or ".join(f"{switch}={setting.kind}" for setting in fields)
            return f"{name} goes with {wanted}, not with {kind!r}; set that or remove {name}"
        case "union_tag_invalid":
            name += "__KIND"
            message = f"must be one of {problem['ctx']['expected_tags']}"
    value, origin = given[name]
    shown = "" if any(setting.secret for setting in fields) else f"={redacted(value)!r}"
    place = ".env" if origin == ".env" else "the environment"
    return f"{name}{shown} {message}; correct it in {place}"
