"""The only place where ports meet their adapters."""

from llm_engineering.bootstrap.app import App, open_app
from llm_engineering.bootstrap.engines import vllm_command

__all__ = ["App", "open_app", "vllm_command"]
