"""docs/how-to/watch-a-running-twin.md lists the metrics that there are, in their own words."""

import re
from pathlib import Path

from llm_engineering.api.json_lines import FIELDS
from llm_engineering.api.metrics import Metrics
from llm_engineering.domain.traces import TraceTally

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "watch-a-running-twin.md"


def rows() -> list[str]:
    return [
        f"| `{each.name}{'_total' if each.kind == 'counter' else ''}` | {each.kind} "
        f"| {', '.join(f'`{label}`' for label in each.labels)} | {each.meaning} |"
        for each in Metrics(version="1", tally=TraceTally).described
    ]


def test_every_metric_is_listed_as_the_code_has_it() -> None:
    listed = re.findall(r"^\| `twin_\w+` .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert listed == rows()
    assert len(listed) > 15


def test_every_metric_that_the_text_names_exists() -> None:
    named = set(re.findall(r"\btwin_\w+", PAGE.read_text(encoding="utf-8")))
    known = {row.split("`")[1] for row in rows()}
    ends = ("_bucket", "_count", "_sum")

    assert named - known <= {name + end for name in known for end in ends}


def test_every_field_of_a_log_line_is_listed() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert [name for name in (*FIELDS, "exception") if f"`{name}`" not in page] == []
