"""YAML in, validated config out; one clear line when it is wrong.

A config is plain YAML: no variables such as `${NAME}` are substituted, and relative paths in it
(`sources[].path`) are relative to the working directory, not to the file.
Does not know: ZenML. Validation happens before ZenML sees anything, because it answers a
misspelled key with an error that names neither file nor key.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from llm_engineering.application.crawl import CrawlConfig
from llm_engineering.application.datasets.config import DatasetsConfig
from llm_engineering.application.embedder_pairs import TuneEmbedderConfig
from llm_engineering.application.features import FeaturesConfig
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.application.training.config import TrainingConfig
from llm_engineering.domain.errors import InvalidConfig
from pipelines.config_problems import Key, first_problem, joined

CONFIGS = Path("configs")
"""Where the shipped configs are, relative to the working directory."""


class EndToEndConfig(BaseModel):
    """Crawl, then features (configs/end_to_end.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    etl: CrawlConfig
    features: FeaturesConfig = FeaturesConfig()


class TrainingPipelineConfig(BaseModel):
    """Sample, fine-tune, prefer, decide (configs/training.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    datasets: DatasetsConfig = DatasetsConfig()
    training: TrainingConfig = TrainingConfig()


PipelineConfig = (
    CrawlConfig | FeaturesConfig | EndToEndConfig | DatasetsConfig | TrainingPipelineConfig
)

PIPELINES: Mapping[str, type[PipelineConfig]] = {
    "etl": CrawlConfig,
    "features": FeaturesConfig,
    "end_to_end": EndToEndConfig,
    "datasets": DatasetsConfig,
    "training": TrainingPipelineConfig,
}
"""What `twin run` knows, and the config each one takes."""

MODELS: Mapping[str, type[BaseModel]] = {
    **PIPELINES,
    "rag": AnswerConfig,
    "tune_embedder": TuneEmbedderConfig,
}
"""Every kind of file in configs/: `<name>.yaml`, or `<name>_<variant>.yaml`."""

T = TypeVar("T", bound=BaseModel)


def model_of(path: Path) -> type[BaseModel]:
    """The model that a config file is checked against, by its name.

    Raises InvalidConfig for a name that is none of MODELS, nor one with `_<variant>` after it.
    """
    fits = [name for name in MODELS if path.stem == name or path.stem.startswith(f"{name}_")]
    if not fits:
        names = ", ".join(f"{name}.yaml" for name in MODELS)
        raise InvalidConfig(
            f"{path}: no pipeline has this name; call it {names} or <name>_<x>.yaml"
        )
    return MODELS[max(fits, key=len)]


def load_config(path: Path, model: type[T], *, overrides: Sequence[str] = ()) -> T:
    """Read `path`, apply `overrides` ('http.timeout_s=5', 'sources.0.path=notes'), validate.

    An override's value is YAML; a step of its key is a name, or an index into a list.
    Raises InvalidConfig with one line: file, key, problem and, for an unknown key, the closest
    known one.
    """
    tree = _read(path)
    origins: dict[tuple[Key, ...], str] = {}
    for override in overrides:
        key, value = _parse(override)
        origins[_put(tree, key, value, override)] = override
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        location, problem = first_problem(error, model, tree)
        origin = next((o for key, o in origins.items() if location[: len(key)] == key), None)
        raise InvalidConfig(f"{path if origin is None else f'-s {origin}'}: {problem}") from None


def dump_config(config: BaseModel) -> str:
    """The config as YAML, defaults filled in, keys in the order they are declared."""
    tree = config.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, where YAML silently keeps the last."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[object, object]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, str) and key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} is given twice", key_node.start_mark
            )
        seen.add(key if isinstance(key, str) else id(key_node))
    return dict(loader.construct_mapping(node, deep=True))


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _read(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidConfig(
            f"{path}: no such file; name one with -c, or see 'twin config list'"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InvalidConfig(f"{path}: cannot be read: {reason}") from None
    tree = _yaml(text, str(path))
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise InvalidConfig(f"{path}: expected 'key: value' lines, found a {type(tree).__name__}")
    return tree


def _yaml(text: str, origin: str) -> object:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        where = f" line {error.problem_mark.line + 1}:" if error.problem_mark else ""
        raise InvalidConfig(f"{origin}:{where} {error.problem or 'broken YAML'}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = str(error).splitlines()[0] if str(error) else "broken YAML"
        raise InvalidConfig(f"{origin}: {problem}") from None


def _parse(override: str) -> tuple[list[str], object]:
    key, equals, value = override.partition("=")
    steps = [step.strip() for step in key.split(".")]
    if not equals or not all(steps):
        raise InvalidConfig(f"-s {override}: write it as key=value, e.g. -s http.timeout_s=5")
    return steps, _yaml(value, f"-s {override}")


def _put(
    tree: dict[str, object], steps: Sequence[str], value: object, override: str
) -> tuple[Key, ...]:
    """Set `value` inside `tree`; returns the key with list positions as numbers."""
    branch: object = tree
    done: list[Key] = []
    for depth, step in enumerate(steps):
        last = depth == len(steps) - 1
        key: Key
        match branch:
            case dict():
                key = step
                if last:
                    branch[key] = value
                elif branch.get(key) is None:
                    branch[key] = {}
                branch = branch[key]
            case list():
                key = _position(step, branch, done, override)
                if last:
                    branch[key] = value
                branch = branch[key]
            case _:
                raise InvalidConfig(
                    f"-s {override}: {joined(done)} is a single value, it has no {step!r}"
                )
        done.append(key)
    return tuple(done)


def _position(step: str, items: Sequence[object], done: Sequence[Key], override: str) -> int:
    if step.isdecimal() and int(step) < len(items):
        return int(step)
    raise InvalidConfig(
        f"-s {override}: no entry {step!r} in {joined(done)}; it has {len(items)}, counted from 0"
    )
