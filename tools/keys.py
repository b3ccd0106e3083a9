"""`twin keys`: who may use the API."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import click

from llm_engineering.application.keys import create_key, revoke_key
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.access import ApiKey, Scope
from llm_engineering.domain.errors import InvalidInput
from llm_engineering.settings import Settings
from tools.output import Column, note, write_json, write_table

_COLUMNS = (
    Column("id"),
    Column("name"),
    Column("scopes", wide=True),
    Column("state"),
    Column("created"),
    Column("last used"),
    Column("expires"),
    Column("limits", wide=True),
)
_STYLES = {"live": "green", "revoked": "dim", "expired": "yellow"}
_HOURS = {"h": 1, "d": 24, "w": 168}
_LONGEST = timedelta(days=3650)


@click.group()
def keys() -> None:
    """Create, list and revoke keys to the API."""


@keys.command("create")
@click.argument("name", metavar="NAME")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("ask",),
    show_default=True,
    metavar="SCOPE",
    help="What it is for: ask, feedback or admin (everything); may be given several times.",
)
@click.option("--expires", metavar="TIME", help="When it ends, from now: 12h, 90d, 8w.")
@click.option(
    "--requests-per-minute",
    type=click.IntRange(min=1),
    help="[default: TWIN_API__REQUESTS_PER_MINUTE]",
)
@click.option(
    "--answers",
    type=click.IntRange(min=1),
    help="Answers under way at once. [default: TWIN_API__ANSWERS_PER_KEY]",
)
@click.option(
    "--author",
    is_flag=True,
    help="It is the author's own: answers edited with it become training targets.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(
    name: str,
    scopes: tuple[str, ...],
    expires: str | None,
    requests_per_minute: int | None,
    answers: int | None,
    author: bool,
    as_json: bool,
) -> None:
    """Make a key and print it: this once, since only its digest is kept."""
    wanted = tuple(map(_scope, scopes))
    lasts = _lasts(expires) if expires is not None else None
    with open_app() as app:
        secret, key = create_key(
            name,
            scopes=wanted,
            store=app.keys,
            audit=app.audit,
            now=datetime.now(UTC),
            lasts=lasts,
            requests_per_minute=requests_per_minute,
            answers=answers,
            author=author,
        )
    if as_json:
        write_json({"key": secret, **_shown(key)})
        return
    click.echo(secret)
    ends = f", until {_day(key.expires_at)}" if key.expires_at else ""
    note(
        f"{key.name} (id {key.id}) may {', '.join(key.scopes)}{ends}; keep the key now, it is not "
        "shown again"
    )


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_keys(as_json: bool) -> None:
    """List keys, oldest first, the revoked ones too."""
    with open_app() as app:
        found = app.keys.all()
    if as_json:
        write_json([_shown(key) for key in found])
        return
    if not found:
        note("no keys; make one with 'twin keys create NAME'")
        return
    write_table(_COLUMNS, [_cells(key) for key in found], styles=_STYLES)


@keys.command("revoke")
@click.argument("name", metavar="NAME|ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def revoke(name: str, as_json: bool) -> None:
    """Make a key worthless; a running server knows within a second."""
    with open_app() as app:
        key = revoke_key(name, store=app.keys, audit=app.audit, now=datetime.now(UTC))
    if as_json:
        write_json(_shown(key))
    else:
        click.echo(f"revoked {key.name} (id {key.id})")


@contextmanager
def own_key(settings: Settings) -> Iterator[dict[str, str]]:
    """Headers for a command that asks the API itself: with a key that is revoked afterwards, or
    none where none is needed.
    """
    with open_app(settings) as app:
        if settings.api.auth == "auto" and not app.keys.all():
            yield {}
            return
        now = datetime.now(UTC)
        secret, key = create_key(
            f"demo {now:%Y%m%d-%H%M%S-%f}",
            scopes=(Scope.ASK,),
            store=app.keys,
            audit=app.audit,
            now=now,
            lasts=timedelta(hours=6),
        )
        try:
            yield {"authorization": f"Bearer {secret}"}
        finally:
            revoke_key(key.id, store=app.keys, audit=app.audit, now=datetime.now(UTC))


def _scope(name: str) -> Scope:
    try:
        return Scope(name)
    except ValueError:
        raise InvalidInput(f"no scope {name!r}; take {', '.join(Scope)}") from None


def _lasts(text: str) -> timedelta:
    """Raises InvalidInput for anything but a number of hours, days or weeks."""
    given = re.fullmatch(r"([1-9]\d{0,5})([hdw])", text)
    if given is None or (lasts := timedelta(hours=int(given[1]) * _HOURS[given[2]])) > _LONGEST:
        raise InvalidInput(
            f"--expires is {text!r}; write hours, days or weeks as 12h, 90d or 8w, ten years at "
            "most, or leave it out"
        )
    return lasts


def _shown(key: ApiKey) -> dict[str, object]:
    return {**key.model_dump(exclude={"digest"}), "state": key.state(datetime.now(UTC))}


def _cells(key: ApiKey) -> tuple[str, ...]:
    limits = {"requests a minute": key.requests_per_minute, "answers": key.answers}
    return (
        key.id,
        key.name,
        ", ".join(key.scopes),
        key.state(datetime.now(UTC)),
        _day(key.created_at),
        _day(key.last_used_at),
        _day(key.expires_at),
        ", ".join(f"{value} {name}" for name, value in limits.items() if value is not None),
    )


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
