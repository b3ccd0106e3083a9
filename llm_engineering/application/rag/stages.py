"""The optional stages around retrieval: which there are, in which order, and what each needs.

    rewrite     a follow-up question is made to stand alone
    self_query  what it says about author, date, kind and tag becomes a filter
    expand      other wordings, or a supposed passage, are searched for too
    (rank)      every leg, fused
    rerank      a cross-encoder reorders the best hits

All are off by default: each costs time, and none of them pays on every corpus.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from llm_engineering.application.rag.expand import ExpandConfig, expanded
from llm_engineering.application.rag.rerank import RerankConfig
from llm_engineering.application.rag.rewrite import RewriteConfig, standalone
from llm_engineering.application.rag.self_query import KnownNames, SelfQuery, read
from llm_engineering.domain.chat import Message
from llm_engineering.domain.documents import EVERYTHING, DocumentFilter
from llm_engineering.domain.errors import InvalidConfig
from llm_engineering.ports.models import ChatModel, Reranker, SparseEncoder


class StagesConfig(BaseModel):
    """Which stages run (configs/rag.yaml, `stages`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rewrite: RewriteConfig = RewriteConfig()
    self_query: bool = False
    """Read author, date, kind and tag out of the question; English only."""
    expand: ExpandConfig = ExpandConfig()
    rerank: RerankConfig = RerankConfig()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to search for, as the stages before retrieval leave it."""

    standalone: str
    """The question with its conditions in it: what a chat model is to answer."""
    asked: SelfQuery
    """With `unknown` names nothing is to be searched for: say what `not_held` says."""
    queries: tuple[str, ...]
    """What is left of the question first."""
    where: DocumentFilter

    @property
    def question(self) -> str:
        return self.queries[0]


def check_stages(config: StagesConfig, *, chat: ChatModel, reranker: Reranker | None) -> None:
    """Raises InvalidConfig, naming the fix, for a stage that lacks the model it needs."""
    generating = {
        "stages.expand.mode": (config.expand.mode, config.expand.mode != "off", "off"),
        "stages.rewrite.mode": (config.rewrite.mode, config.rewrite.mode == "chat", "terms"),
    }
    for key, (mode, needed, instead) in generating.items():
        if needed and not chat.generates:
            raise InvalidConfig(
                f"{key}={mode!r} needs a chat model that generates, and {chat.name!r} only quotes; "
                f"set TWIN_CHAT__KIND=openai or {key}={instead}"
            )
    if config.rerank.weight > 0 and reranker is None:
        raise InvalidConfig(
            f"stages.rerank.weight={config.rerank.weight:g} needs a reranker, and there is none; "
            "set TWIN_RERANKER__KIND=cross-encoder or stages.rerank.weight=0"
        )


def planned(
    question: str,
    *,
    config: StagesConfig,
    known: KnownNames,
    now: datetime,
    sparse: SparseEncoder,
    chat: ChatModel,
    history: Sequence[Message] = (),
    where: DocumentFilter = EVERYTHING,
) -> Plan:
    """Run the stages before retrieval; `known` counts only with `self_query`.

    What `where` says already wins over what the question says of the same field. Raises what the
    chat model raises.
    """
    alone = standalone(question, history, sparse=sparse, chat=chat, config=config.rewrite)
    asked = read(alone, known=known, now=now) if config.self_query else SelfQuery(question=alone)
    queries: tuple[str, ...] = (asked.question,)
    if not asked.unknown:
        queries = expanded(asked.question, chat=chat, config=config.expand)
    return Plan(standalone=alone, asked=asked, queries=queries, where=_both(where, asked.where))


def _both(given: DocumentFilter, said: DocumentFilter) -> DocumentFilter:
    dated = given.published_from is not None or given.published_before is not None
    update = {
        name: value
        for name, value in said
        if not getattr(given, name) and not (dated and name.startswith("published_"))
    }
    return given.model_copy(update=update)
