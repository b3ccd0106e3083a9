"""`twin feedback`: what readers said of answers."""

import json
from collections.abc import Iterator
from typing import Literal

import click

from llm_engineering.application.datasets.preference import no_contrast
from llm_engineering.application.feedback import accept_edit
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.feedback import Feedback
from tools.output import Column, note, write_json, write_table

_COLUMNS = (
    Column("id"),
    Column("given"),
    Column("liked"),
    Column("edit"),
    Column("model"),
    Column("answer", wide=True),
)
Form = Literal["feedback", "pairs"]


@click.group()
def feedback() -> None:
    """List, export and accept what readers said of answers."""


@feedback.command("list")
@click.option("--edited", is_flag=True, help="Only those with an edit.")
@click.option("--liked/--disliked", default=None, help="Only thumbs up, or down.")
@click.option("--model", help="Only of this version.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_feedback(edited: bool, liked: bool | None, model: str | None, as_json: bool) -> None:
    """List feedback, oldest first."""
    with open_app() as app:
        found = list(_chosen(app.feedback.find(), edited=edited, liked=liked, model=model))
    if as_json:
        write_json(found)
        return
    if not found:
        note("no feedback; readers give it with POST /feedback")
        return
    write_table(_COLUMNS, [_cells(each) for each in found])


@feedback.command("export")
@click.option("--edited", is_flag=True, help="Only those with an edit.")
@click.option("--liked/--disliked", default=None, help="Only thumbs up, or down.")
@click.option("--model", help="Only of this version.")
@click.option(
    "--as",
    "form",
    type=click.Choice(["feedback", "pairs"]),
    default="feedback",
    show_default=True,
    help="Whole rows, or preference pairs of the author's own edits.",
)
def export(edited: bool, liked: bool | None, model: str | None, form: Form) -> None:
    """Print JSON Lines, oldest first."""
    with open_app() as app:
        for each in _chosen(app.feedback.find(), edited=edited, liked=liked, model=model):
            if form == "feedback":
                click.echo(each.model_dump_json())
            elif each.edit and each.by_author and not no_contrast(each.edit, each.served):
                click.echo(json.dumps(_pair(each, each.edit), ensure_ascii=False))


@feedback.command("accept")
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
def accept(ids: tuple[str, ...]) -> None:
    """Take edits for the author's own words: 'twin run datasets' then trains on them."""
    with open_app() as app:
        for each in ids:
            accept_edit(each, store=app.feedback)
    click.echo(f"accepted {len(ids)} edits")


def _chosen(
    found: Iterator[Feedback], *, edited: bool, liked: bool | None, model: str | None
) -> Iterator[Feedback]:
    for each in found:
        if edited and each.edit is None:
            continue
        if liked is not None and each.liked is not liked:
            continue
        if model is None or each.model == model:
            yield each


def _pair(each: Feedback, edit: str) -> dict[str, object]:
    return {
        "prompt": [{"role": turn.role, "content": turn.content} for turn in each.prompt],
        "chosen": [{"role": "assistant", "content": edit}],
        "rejected": [{"role": "assistant", "content": each.served}],
        "feedback_id": each.id,
    }


def _cells(each: Feedback) -> tuple[str, ...]:
    liked = {True: "yes", False: "no", None: ""}[each.liked]
    edit = "" if each.edit is None else "author's" if each.by_author else "reader's"
    answer = " ".join(each.served.split())[:200]
    return each.id, f"{each.created_at:%Y-%m-%d %H:%M}", liked, edit, each.model, answer
