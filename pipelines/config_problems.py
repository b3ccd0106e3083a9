"""Turn pydantic's account of a bad config into one line that names the key and the fix."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Key = str | int


def first_problem(
    error: ValidationError, model: type[BaseModel], tree: Mapping[str, object]
) -> tuple[tuple[Key, ...], str]:
    """Where the first problem is in `tree`, and a line that says what it is.

    Unknown keys come first: a misspelled key also makes the right one missing.
    """
    problems = error.errors(include_url=False)
    first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    location = _location(first["loc"], tree)
    return location, _text(first, location, _model_at(model, tree, location[:-1]))


def joined(location: Iterable[Key]) -> str:
    """'sources.0.path', as an override would name it."""
    return ".".join(str(step) for step in location)


def _location(loc: Sequence[Key], tree: object) -> tuple[Key, ...]:
    """Without the steps that pydantic adds for the members of a union ('files')."""
    found: list[Key] = []
    branch: object = tree
    for depth, step in enumerate(loc):
        match branch:
            case dict() if step in branch:
                branch = branch[step]
            case list() if isinstance(step, int):
                branch = branch[step]
            case _ if depth < len(loc) - 1:
                continue
        found.append(step)
    return tuple(found)


def _text(problem: ErrorDetails, location: tuple[Key, ...], owner: type[BaseModel] | None) -> str:
    where = joined(location)
    match problem["type"]:
        case "extra_forbidden":
            known = list(owner.model_fields) if owner else []
            return f"unknown key {where}; {_hint(str(location[-1]), known)}"
        case "missing":
            return f"missing key {where}"
        case "union_tag_not_found":
            return f"missing key {where}.kind"
        case "union_tag_invalid":
            context = problem["ctx"]
            known = [tag.strip("' ") for tag in context["expected_tags"].split(",")]
            return f"{where}.kind: unknown kind {context['tag']!r}; {_hint(context['tag'], known)}"
        case "value_error":  # of our own validators
            return f"{where}: {problem['ctx']['error']}"
        case "model_type" | "model_attributes_type":
            return f"{where}: should hold 'key: value' lines, not {_short(problem['input'])}"
        case "tuple_type":
            return f"{where}: should be a list, not {_short(problem['input'])}"
        case _:
            message = problem["msg"].removeprefix("Input ")
            return f"{where}: {message[:1].lower()}{message[1:]}, not {_short(problem['input'])}"


def _hint(given: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known) or 'none'}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _model_at(
    model: type[BaseModel], tree: object, location: Sequence[Key]
) -> type[BaseModel] | None:
    """The model that owns the keys at `location`; None where there is none."""
    kind: object = model
    branch = tree
    for step in location:
        branch = _child(branch, step)
        match kind:
            case type() if issubclass(kind, BaseModel) and step in kind.model_fields:
                kind = kind.model_fields[str(step)].annotation
            case _ if isinstance(step, int):
                kind = (get_args(kind) or (None,))[0]
            case _:
                return None
        kind = _member(kind, branch)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _child(branch: object, step: Key) -> object:
    match branch:
        case dict():
            return branch.get(step)
        case list() if isinstance(step, int):
            return branch[step]
        case _:
            return None


def _member(kind: object, branch: object) -> object:
    """Of a union of models the one whose `kind` the data names; other types as they are."""
    if get_origin(kind) is Annotated:
        return _member(get_args(kind)[0], branch)
    if get_origin(kind) not in (Union, UnionType):
        return kind
    tag = branch.get("kind") if isinstance(branch, dict) else None
    for member in get_args(kind):
        if isinstance(member, type) and issubclass(member, BaseModel):
            field = member.model_fields.get("kind")
            if field is None or (
                get_origin(field.annotation) is Literal and tag in get_args(field.annotation)
            ):
                return member
    return kind
