"""Bars for a person at a terminal, nothing for a log."""

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from rich.console import Console

from llm_engineering.infrastructure.rich_progress import RichProgress, Silent
from llm_engineering.ports.progress import Progress


def terminal() -> tuple[RichProgress, io.StringIO]:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    return RichProgress(console), screen


def last_lines(screen: io.StringIO) -> str:
    """What is left on the screen: the text after the last redrawing."""
    return screen.getvalue().rpartition("\x1b[2K")[2]


def fail_after_three(progress: Progress) -> None:
    with progress.stage("embed", total=5) as advance:
        advance(3)
        raise ZeroDivisionError


def test_a_finished_stage_shows_its_name_and_count() -> None:
    progress, screen = terminal()
    with progress.stage("embed", total=5) as advance:
        advance(2)
        advance(3)
    assert "embed" in last_lines(screen)
    assert "5/5" in last_lines(screen)


def test_a_stage_that_fails_shows_how_far_it_came_and_passes_the_error_on() -> None:
    progress, screen = terminal()
    with pytest.raises(ZeroDivisionError):
        fail_after_three(progress)
    assert "3/5" in last_lines(screen)
    assert screen.getvalue().endswith("\x1b[?25h"), "the cursor is shown again"


def test_a_stage_of_unknown_length_ends_with_what_was_done() -> None:
    progress, screen = terminal()
    with progress.stage("crawl") as advance:
        advance(7)
    assert "7/7" in last_lines(screen)


def test_stages_may_lie_inside_each_other_and_follow_each_other() -> None:
    progress, screen = terminal()
    with progress.stage("outer", total=1) as advance:
        with progress.stage("inner", total=2) as inner:
            inner(2)
        advance(1)
    with progress.stage("later", total=4) as advance:
        advance(4)
    for said in ("outer", "1/1", "inner", "2/2", "later", "4/4"):
        assert said in screen.getvalue()


def test_advances_from_several_threads_are_all_counted() -> None:
    progress, screen = terminal()
    with (
        progress.stage("embed", total=800) as advance,
        ThreadPoolExecutor(8) as threads,
    ):
        list(threads.map(advance, [1] * 800))
    assert "800/800" in last_lines(screen)


def test_a_name_is_not_read_as_markup() -> None:
    progress, screen = terminal()
    with progress.stage("[red]notes[/red]", total=1) as advance:
        advance(1)
    assert "[red]notes[/red]" in screen.getvalue()


def test_nothing_is_written_to_a_log() -> None:
    log = io.StringIO()
    with RichProgress(Console(file=log)).stage("embed", total=5) as advance:
        advance(5)
    assert log.getvalue() == ""


def test_results_printed_during_a_stage_stay_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    progress, screen = terminal()
    with progress.stage("embed", total=1):
        print("result")  # noqa: T201 (what is tested)
    assert capsys.readouterr().out == "result\n"
    assert "result" not in screen.getvalue()


def test_silent_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    silent: Progress = Silent()
    with silent.stage("embed", total=5) as advance:
        advance(5)
    assert capsys.readouterr() == ("", "")
