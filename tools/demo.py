"""`twin demo`: the whole way once, on real input, then everything that was started is ended."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from llm_engineering.bootstrap import open_app, vllm_command
from llm_engineering.domain.errors import BackendUnavailable, NotFound, TrainingFailed
from llm_engineering.settings import Settings, VllmSettings, load_settings
from tools import demo_page, demo_serving, demo_training, processes
from tools.corpus import source_entry
from tools.keys import own_key
from tools.output import Column, note, write_table, write_text
from tools.serve import TWIN, listen, record_path

QUESTIONS = (
    "Why does cleaning keep apostrophes?",
    "What happens when a run is killed half way?",
    "How do I switch to MongoDB and Qdrant?",
)
"""Asked over the project's own documentation, the default corpus."""

ANSWER_TIMEOUT_S = 60


@click.command()
@click.option(
    "--corpus", help="Folder, file, page, sitemap or feed. [default: this project's docs]"
)
@click.option("--author", help="Who wrote it. [default: that of configs/end_to_end.yaml]")
@click.option("--training/--no-training", default=True, help="Train a twin too.  [default: do]")
@click.option(
    "--engine",
    type=click.Choice(["transformers", "vllm"]),
    help="What the version in production speaks through. [default: transformers]",
)
def demo(
    corpus: str | None, author: str | None, training: bool, engine: demo_serving.Engine | None
) -> None:
    """Crawl, index, train, serve, ask three questions, stream an answer, and stop again.

    The exit code is 1 when one of it failed. Training that cannot be, because the corpus is too
    small or its packages are not installed, is said and is no failure.
    """
    settings = load_settings()
    if engine == "vllm":
        vllm_command(settings.chat.command if isinstance(settings.chat, VllmSettings) else "")
    clock = Stopwatch()
    ours = processes.running(record_path(settings)) is None
    if ours:  # a port in use is told before the work, not after it
        listen(settings.api.host, settings.api.port).close()
    with clock("crawl, clean, chunk, embed, index"):
        outcome = _run_pipeline(source_entry(corpus) if corpus else None, author)
    crawled, built = outcome["reports"]["crawl"], outcome["reports"]["features"]
    sources = crawled["sources"]
    _tell_reports(crawled, built)
    questions = _questions(settings, sources) if corpus else QUESTIONS
    if not questions:
        raise NotFound("the corpus holds nothing to ask about; see the run's report")
    failure = _train(clock) if training else None
    with own_key(settings) as key:
        try:
            with clock("start the API"):
                _twin("serve", "--background")
            url = _server_url(settings)
            for number, question in enumerate(questions, start=1):
                with clock(f"question {number} over REST"):
                    answer = _ask(url, question, sources, key=key)
                _tell_answer(number, question, answer)
            voice = demo_serving.chosen_voice(settings, engine=engine)
            if voice.settings and ours:
                with clock("start the API over the twin"):
                    _twin("serve", "--stop")
                    demo_serving.start(voice)
            with clock("streamed answer"):
                demo_serving.stream(_server_url(settings), questions[0], voice, key=key)
            with clock("question through the page"):
                demo_page.ask(_server_url(settings), questions[-1], key=key)
        finally:
            if ours:
                _twin("serve", "--stop")
    _tell_timings(clock, crawled, built)
    _tell_next_steps(outcome["page"], settings, question=questions[0])
    if failure is not None:
        raise failure


@dataclass
class Stopwatch:
    """Seconds per named part, in order."""

    parts: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.parts[part] = time.perf_counter() - started


def _train(clock: Stopwatch) -> TrainingFailed | None:
    """Train and show what came of it; the questions are asked all the same."""
    if (missing := demo_training.not_installed()) is not None:
        write_text(f"not trained: {missing}")
        return None
    with clock("sample, fine-tune, prefer"):
        trained = demo_training.train(demo_training.chosen_base())
    return demo_training.tell(trained)


def _run_pipeline(source: dict[str, Any] | None, author: str | None) -> dict[str, Any]:
    """Run end_to_end; `source` replaces the configured sources, `author` the configured one.

    What could not be read is told and does not end the demo, as long as something could.
    """
    chosen = ["-s", "etl.max_failed_share=1"]
    if source:
        chosen += ["-s", f"etl.sources={json.dumps([source])}"]
    if author:
        chosen += ["-s", f"etl.author.name={json.dumps(author)}"]
    note("running the pipeline end_to_end through ZenML…")
    outcome: dict[str, Any] = json.loads(_twin("run", "end_to_end", *chosen, "--json"))
    for failure in outcome["reports"]["crawl"]["failed"]:
        note(f"not read: {failure['subject']}: {failure['reason']}")
    return outcome


def _twin(*arguments: str) -> str:
    """What `twin` with these arguments printed; its notes and bars go to our stderr.

    Ends this command with the same exit code when it fails: it has said why.
    """
    done = subprocess.run([*TWIN, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    return done.stdout


def _server_url(settings: Settings) -> str:
    server = processes.running(record_path(settings))
    if server is None:
        raise BackendUnavailable("the API ended by itself; see the log under TWIN_HOME/logs")
    return server.url


def _questions(settings: Settings, sources: Sequence[str]) -> tuple[str, ...]:
    """Three questions after titles of the corpus, spread over it."""
    from llm_engineering.domain.documents import DocumentFilter

    with open_app(settings) as app:
        heads = app.documents.heads(DocumentFilter(sources=tuple(sources)))
        titles = sorted({head.title for head in heads if head.title.strip()})
    spread = [titles[at * len(titles) // 3] for at in range(3)] if titles else []
    return tuple(
        title if title.endswith("?") else f"What did I write about {title}?"
        for title in dict.fromkeys(spread)
    )


def _ask(
    url: str, question: str, sources: Sequence[str], *, key: Mapping[str, str]
) -> dict[str, Any]:
    import httpx

    try:
        response = httpx.post(
            f"{url}/rag",
            json={"question": question, "filters": {"sources": list(sources)}},
            headers=dict(key),
            timeout=ANSWER_TIMEOUT_S,
            trust_env=False,
        )
        body: dict[str, Any] = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise BackendUnavailable(f"the API at {url} gave no answer: {error}") from error
    if response.is_error:
        raise BackendUnavailable(f"the API answered {response.status_code}: {body.get('detail')}")
    return body


def _tell_reports(crawled: dict[str, Any], built: dict[str, Any]) -> None:
    write_text(
        f"{crawled['seen']} documents read ({crawled['new']} new, {crawled['changed']} changed, "
        f"{crawled['removed']} removed, {len(crawled['failed'])} failed); "
        f"{built['chunks']} chunks in the index, {built['embedded']} embedded in this run"
    )


def _tell_answer(number: int, question: str, answer: dict[str, Any]) -> None:
    click.echo()
    write_text(f"{number}. {question}", style="bold cyan")
    write_text(answer["answer"], indent=3)
    for cited in answer["citations"]:
        dated = f", {cited['published_at'][:10]}" if cited["published_at"] else ""
        write_text(f"[{cited['number']}] {cited['title']}{dated}", style="bold", indent=3)
        write_text(f"{cited['url']} characters {cited['start']}-{cited['end']}", indent=7)
        write_text(f"“{cited['quote']}”", style="italic", indent=7)


def _tell_timings(clock: Stopwatch, crawled: dict[str, Any], built: dict[str, Any]) -> None:
    rows = [(part, f"{seconds:.2f} s") for part, seconds in clock.parts.items()]
    stages = {"crawl": crawled["seconds"], **built["seconds"]}
    stages["ZenML and the rest"] = next(iter(clock.parts.values())) - sum(stages.values())
    rows[1:1] = [(f"  of which {stage}", f"{s:.2f} s") for stage, s in stages.items()]
    rows.append(("total", f"{sum(clock.parts.values()):.2f} s"))
    click.echo()
    write_table((Column("what"), Column("time")), rows)


def _tell_next_steps(page: str, settings: Settings, *, question: str) -> None:
    click.echo()
    write_table(
        (Column("next"), Column("how")),
        [
            ("keep the page and the API up", "make serve"),
            ("the API's documentation", f"{_address(settings)}docs"),
            ("ask from here", f"{_command()} ask {shlex.quote(question)}"),
            ("search", f"{_command()} search {shlex.quote(question)} --explain"),
            ("ZenML dashboard", f"{_command()} stack up"),
            ("this run's report", page),
            (
                "your own writing",
                "make clean-data; make demo CORPUS=path-or-URL AUTHOR='your name'",
            ),
            ("end everything", "make stop"),
        ],
    )
    click.echo()
    write_text(f"the page, after 'make serve': {_address(settings)}")


def _address(settings: Settings) -> str:
    return f"http://{settings.api.host}:{settings.api.port}/"


def _command() -> str:
    """`twin` as it can be typed without activating the virtual environment."""
    script = Path(sys.executable).with_name("twin")
    try:
        return str(script.relative_to(Path.cwd()))
    except ValueError:
        return "twin"
