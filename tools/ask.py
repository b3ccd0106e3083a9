"""`twin ask`: one question, answered with citations."""

from pathlib import Path

import click

from llm_engineering.application.rag.answer import answer
from llm_engineering.application.rag.preparing import AnswerConfig
from llm_engineering.bootstrap import open_app
from llm_engineering.domain.chat import Answer, Citation, Grounding, Passage, Verdict
from llm_engineering.domain.documents import DocumentFilter
from pipelines.configs import load_config
from tools.filters import filtered
from tools.output import note, one_line, write_json, write_text


@click.command()
@click.argument("question")
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="How questions are answered, e.g. configs/rag.yaml. [default: built-in values]",
)
@filtered
@click.option(
    "--sources",
    "show_passages",
    is_flag=True,
    help="Also show each sentence's label and all evidence it read.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON object.")
def ask(
    question: str,
    config_path: Path | None,
    where: DocumentFilter,
    show_passages: bool,
    as_json: bool,
) -> None:
    """Answer QUESTION in the author's own words, with citations.

    Where the evidence is weak it says so instead; the exit code is 0 either way.
    """
    config = load_config(config_path, AnswerConfig) if config_path else AnswerConfig()
    with open_app() as app:
        given = answer(
            question,
            config=config,
            ports=app.search_ports,
            where=where,
        )
    if as_json:
        write_json(given)
        return
    _show(given)
    if show_passages:
        _show_labels(given)
        _show_passages(given.passages)


def _show(given: Answer) -> None:
    write_text(given.text)
    if given.abstained:
        note(f"no answer: the evidence found is too weak ({given.evidence:.2f} of 1)")
    for number, citation in enumerate(given.citations, start=1):
        click.echo()
        _show_citation(number, citation)
    if given.grounding is not None:
        _summarise(given.grounding)
    note(given.disclosure)


def _summarise(grounding: Grounding) -> None:
    verdicts = [sentence.verdict for sentence in grounding.sentences]
    counts = (f"{verdicts.count(verdict)} {verdict.value}" for verdict in Verdict)
    note(f"sentences: {', '.join(counts)}")
    if grounding.replaced:
        note(
            f"only {100 * grounding.share:.0f} % of what the model said was backed; it is replaced"
        )


def _show_labels(given: Answer) -> None:
    """Each sentence with its label and the author's sentence behind it."""
    if given.grounding is None or not given.grounding.sentences:
        return
    click.echo()
    write_text("Sentences:", style="bold")
    for each in given.grounding.sentences:
        write_text(f"{each.verdict.value}: {one_line(given.text[each.start : each.end])}", indent=2)
        if each.source is not None:
            write_text(f"“{one_line(each.source.quote)}”", style="dim", indent=6)


def _show_citation(number: int, citation: Citation) -> None:
    date = f" ({citation.published_at:%Y-%m-%d})" if citation.published_at else ""
    write_text(f"[{number}] {one_line(citation.title)}{date}", style="bold")
    headings = [heading for heading in citation.heading_path if heading != citation.title]
    if headings:
        write_text(one_line(" > ".join(headings)), indent=4)
    place = f"{one_line(citation.url)} characters {citation.start}-{citation.end}"
    write_text(place, style="dim", indent=4)
    write_text(f"“{one_line(citation.quote)}”", indent=4)


def _show_passages(passages: tuple[Passage, ...]) -> None:
    click.echo()
    write_text(f"Evidence: {len(passages)} passages", style="bold")
    for passage in passages:
        span = f"characters {passage.start}-{passage.end}, score {passage.score:.4f}"
        click.echo()
        write_text(f"{one_line(passage.document.title)} ({span})", style="bold", indent=2)
        write_text(one_line(passage.document.url), style="dim", indent=2)
        write_text(passage.text.strip(), indent=4)
