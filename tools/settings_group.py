"""`twin settings`: what every TWIN_* name is set to, and why."""

from typing import NamedTuple

import click
from pydantic import SecretStr

from llm_engineering.settings import (
    Setting,
    Settings,
    all_settings,
    given_settings,
    load_settings,
    redacted,
)
from tools.output import Column, write_json, write_table

_STYLES = {".env": "green", "environment": "cyan", "default": "dim"}


class Row(NamedTuple):
    """One name as it stands."""

    name: str
    value: str | None
    """Redacted; None when unset, or when another kind of its section is chosen."""
    default: str | None
    origin: str
    """default, .env or environment; of a name that is not in use, the kinds that read it."""


@click.group()
def settings() -> None:
    """Show and check the TWIN_* settings."""


@settings.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def show(as_json: bool) -> None:
    """List every name with its value, default and origin; secrets are hidden."""
    rows = settings_rows(load_settings())
    if as_json:
        write_json([row._asdict() for row in rows])
        return
    columns = [Column("name"), Column("value", wide=True), Column("default", wide=True)]
    write_table(
        [*columns, Column("from", wide=True)],
        [[row.name, row.value or "", row.default or "", row.origin] for row in rows],
        styles=_STYLES,
    )


@settings.command("check")
def check() -> None:
    """Validate the TWIN_* names and values; exit code 0 or 1."""
    load_settings()
    count = len(given_settings())
    click.echo(f"settings are valid; {count} set, the rest default")


def settings_rows(loaded: Settings) -> list[Row]:
    """One row per name, in the order of the tree."""
    given = given_settings()
    by_name: dict[str, list[Setting]] = {}
    for setting in all_settings():
        by_name.setdefault(setting.name, []).append(setting)
    rows = []
    for name, candidates in by_name.items():
        holder = _holder(loaded, name)
        used = next((each for each in candidates if isinstance(holder, each.owner)), None)
        if used is None:
            kinds = " or ".join(str(each.kind) for each in candidates)
            rows.append(Row(name, None, default_of(candidates[0]), f"for kind {kinds}"))
            continue
        value = getattr(holder, used.field)
        default = default_of(candidates[0] if used.field == "kind" else used)
        origin = given[name][1] if name in given else "default"
        rows.append(Row(name, _shown(value), default, origin))
    return rows


def default_of(setting: Setting) -> str | None:
    """The default as it would be written; None when there is none."""
    value = setting.info.get_default()
    if isinstance(value, SecretStr):
        return value.get_secret_value()  # one of the source code, so no secret
    return None if value is None or setting.info.is_required() else _written(value)


def _holder(loaded: Settings, name: str) -> object:
    section, _, key = name.removeprefix("TWIN_").lower().partition("__")
    return getattr(loaded, section) if key else loaded


def _shown(value: object) -> str | None:
    """SecretStr hides itself; what else looks like a URL may hold a password all the same."""
    if value is None:
        return None
    return str(value) if isinstance(value, SecretStr) else redacted(_written(value))


def _written(value: object) -> str:
    """As in an environment variable."""
    return ",".join(value) if isinstance(value, tuple) else str(value)
