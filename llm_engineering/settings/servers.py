"""Settings of what we serve ourselves: the API and the dashboard."""

import re
from ipaddress import ip_network
from typing import Literal

from pydantic import Field, field_validator

from llm_engineering.settings.section import Names, Section


class ApiSettings(Section):
    """The REST server."""

    host: str = "127.0.0.1"
    """Address to listen on; one that other machines reach needs a key (`twin keys create`)."""
    port: int = Field(default=8080, ge=1, le=65535)
    """Port to listen on."""
    auth: Literal["auto", "required"] = "auto"
    """`auto`: keys are asked for once there is one; `required`: also before."""
    hosts: Names = ()
    """Names beside localhost that a server without keys may be called by."""
    origins: Names = ()
    """Web pages that may call the API, such as https://chat.example.org; no others may."""
    proxies: Names = ()
    """Addresses of reverse proxies that are believed which client they ask for."""
    workers: int = Field(default=8, ge=1)
    """Threads that search, load and rank."""
    answers: int = Field(default=256, ge=1)
    """Answers that may be under way at once; more are answered with 503."""
    answers_per_key: int | None = Field(default=None, ge=1)
    """Of those, how many one key may have, or one address where there are no keys; when not set,
    32 of a key and any number without keys. More are answered with 429."""
    requests_per_minute: int | None = Field(default=None, ge=1)
    """Of one key, or of one address where there are no keys; when not set, 600 of a key and any
    number without keys. More are answered with 429."""
    answer_timeout_s: float = Field(default=300.0, gt=0)
    """Longest time that one answer may take, retrieval included."""
    max_answer_tokens: int = Field(default=32_768, ge=16, le=32_768)
    """Longest answer that may be asked for."""
    max_body_bytes: int = Field(default=256_000, ge=1_000)
    """Longest request body; a longer one is answered with 413."""
    mcp: bool = False
    """Also answer MCP clients, at /mcp (extra `mcp`)."""
    log: Literal["text", "json"] = "text"
    """Lines of the log on stderr: for people, or one JSON object each."""

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not re.fullmatch(r"[\w.-]+|\[[0-9a-fA-F:.]+\]", host):
                raise ValueError(f"holds {host!r}; write host names without scheme, port or path")
        return tuple(host.lower() for host in hosts)

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not re.fullmatch(r"https?://[\w.-]+(:\d+)?", origin):
                raise ValueError(f"holds {origin!r}; write scheme://host[:port], without a path")
        return tuple(origin.lower() for origin in origins)

    @field_validator("proxies")
    @classmethod
    def _are_addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError(
                    f"holds {proxy!r}; write addresses or networks, such as 10.0.0.0/8"
                ) from None
        return proxies


class DashboardSettings(Section):
    """The local ZenML dashboard."""

    host: str = "127.0.0.1"
    """Loopback address to listen on."""
    port: int = Field(default=8237, ge=1, le=65535)
    """Port to listen on."""
