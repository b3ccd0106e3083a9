"""`twin doctor`: does everything that the settings name work?"""

from dataclasses import asdict

import click

from llm_engineering.bootstrap import open_app
from llm_engineering.domain.errors import InvalidSettings
from llm_engineering.settings import load_settings
from tools.checks import Finding, Status, all_checks, examine, finding_of
from tools.output import Column, note, write_json, write_table

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check backends, extras and services; each failure names its fix.

    The exit code is 1 when something that the current settings need does not work.
    """
    findings = examine_all()
    failed = [name for name, finding in findings if finding.status is Status.FAIL]
    if as_json:
        rows = [{"name": name, **asdict(finding)} for name, finding in findings]
        write_json({"ok": not failed, "checks": rows})
    else:
        write_table(
            [Column("check"), Column("status"), Column("detail", wide=True), Column("fix", True)],
            [[name, each.status, each.detail, each.fix] for name, each in findings],
            styles=_STYLES,
        )
        note(
            f"{len(findings)} checks, {len(failed)} failed"
            + "".join(f", {name}" for name in failed)
        )
    ctx.exit(1 if failed else 0)


def examine_all() -> list[tuple[str, Finding]]:
    """(name, finding) of every check; with unreadable settings, of that alone."""
    try:
        settings = load_settings()
    except InvalidSettings as error:
        return [("settings", finding_of(error, Status.FAIL))]
    found = [("settings", Finding(Status.OK, "every TWIN_* name and value is valid"))]
    checks = list(all_checks(settings))
    with open_app(settings) as app, app.progress.stage("checks", total=len(checks)) as advance:
        for check in checks:
            found.append((check.name, examine(check, app)))
            advance(1)
    return found
