"""The only place where ports meet their adapters."""

from llm_engineering.bootstrap.app import App, open_app

__all__ = ["App", "open_app"]
