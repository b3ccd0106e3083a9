"""Which chat model the settings name."""

from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.domain.chat import Capabilities
from llm_engineering.ports.jobs import ModelRegistry
from llm_engineering.ports.models import ChatModel, Embedder, SparseEncoder
from llm_engineering.settings import (
    ChatSettings,
    OpenAiSettings,
    QuotesSettings,
    SageMakerChatSettings,
    ScriptedSettings,
    TransformersSettings,
    VllmSettings,
)


def chat_of(
    settings: ChatSettings,
    *,
    home: Path,
    embedder: Callable[[], Embedder],
    sparse: Callable[[], SparseEncoder],
    models: Callable[[], ModelRegistry],
) -> ChatModel:
    """The other ports are opened only by the engines that need them."""
    match settings:
        case QuotesSettings():
            from llm_engineering.infrastructure.quotes_chat import QuotesChat

            return QuotesChat(embedder=embedder(), sparse=sparse())
        case TransformersSettings() as engine:
            from llm_engineering.infrastructure.transformers_chat import TransformersChat

            return TransformersChat(models(), home=home, **engine.model_dump(exclude={"kind"}))
        case SageMakerChatSettings() as endpoint:
            return _sagemaker(endpoint)
        case OpenAiSettings() as server:
            return _openai(server)
        case VllmSettings() as vllm:
            from llm_engineering.infrastructure.vllm_chat import vllm_chat

            return vllm_chat(
                models(),
                home=home,
                command=vllm.command,
                max_model_len=vllm.max_model_len or AnswerConfig().context_tokens,
                **vllm.model_dump(exclude={"kind", "command", "max_model_len"}),
            )
        case ScriptedSettings() as scripted:
            from llm_engineering.infrastructure.scripted_chat import ScriptedChat

            return ScriptedChat(
                tokens_per_s=scripted.tokens_per_s, first_token_s=scripted.first_token_s
            )
        case unreachable:
            assert_never(unreachable)


def vllm_command(command: str) -> Path:
    """The `vllm` that is named, or the one that is here. Raises InvalidInput, naming the fix."""
    from llm_engineering.infrastructure.vllm_command import find_vllm

    return find_vllm(command)


def _sagemaker(endpoint: SageMakerChatSettings) -> ChatModel:
    from llm_engineering.infrastructure.aws import Aws
    from llm_engineering.infrastructure.sagemaker_chat import SageMakerChat

    return SageMakerChat(
        Aws(endpoint.region, endpoint.endpoint_url),
        endpoint=endpoint.endpoint,
        component=endpoint.component,
        model=endpoint.model,
        timeout_s=endpoint.timeout_s,
        capabilities=Capabilities(
            tools=endpoint.tools,
            seed=endpoint.seed,
            template_options=endpoint.template_options,
        ),
    )


def _openai(server: OpenAiSettings) -> ChatModel:
    from llm_engineering.infrastructure.openai_chat import OpenAiChat

    return OpenAiChat(
        server.base_url,
        model=server.model,
        api_key=server.api_key.get_secret_value() if server.api_key else None,
        timeout_s=server.timeout_s,
        capabilities=Capabilities(
            adapters=server.adapters,
            tools=server.tools,
            seed=server.seed,
            template_options=server.template_options,
        ),
    )
