"""The twin as an MCP server (Model Context Protocol): over HTTP beside the API, and over stdio.

The package `mcp` is imported only where MCP is wanted: nothing else needs it, and it takes half a
second.
"""

from typing import TYPE_CHECKING

from llm_engineering.api.routes import Service
from llm_engineering.domain.errors import MissingExtra
from llm_engineering.settings import ApiSettings

if TYPE_CHECKING:
    from llm_engineering.api.mcp.http import McpEndpoint


def mcp_of(service: Service, limits: ApiSettings) -> "McpEndpoint":
    """MCP over HTTP. Raises MissingExtra."""
    try:
        from llm_engineering.api.mcp.http import McpEndpoint
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "mcp", extra="mcp") from error
    return McpEndpoint(service, limits)
