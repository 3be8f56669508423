"""The view for logs: its lines, to the letter."""

import io

import pytest
from rich.console import Console

from mzpipe.telemetry import PlainView

from .samples import starting, training

LINE = (
    "[  35.0s] env 12,400 (1,020/s) | learner 3,100 (148/s) | sim 25,600/s | batch 58 | return 88.4 | "
    "eval 120.5 @3000 | spi 24.9/25.0 | loss 2.31 | eta 2m10s | training"
)


class Screen:
    """A plain view and the lines it printed."""

    def __init__(self) -> None:
        self._file = io.StringIO()
        self.view = PlainView(Console(file=self._file, width=80), interval_s=5.0)

    @property
    def lines(self) -> list[str]:
        return self._file.getvalue().splitlines()


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_plain_view_prints_one_whole_line_when_it_is_wider_than_the_console(screen: Screen) -> None:
    screen.view.update(training())
    assert screen.lines == [LINE]


def test_plain_view_leaves_out_what_was_not_measured(screen: Screen) -> None:
    note = "waiting for replay: 340 of 1000 transitions"
    screen.view.update(
        starting(elapsed_s=2.04, limits={}, note=note, learner_steps=0, metrics={"perf/learner_steps_per_s": 0.0})
    )
    assert screen.lines == [
        f"[   2.0s] env 12,400 (1,020/s) | learner 0 (0/s) | sim 25,600/s | batch 58 | {note}",
    ]


def test_plain_view_prints_a_line_per_interval_of_the_runs_own_time(screen: Screen) -> None:
    for elapsed_s in (1.0, 2.0, 5.9, 6.0, 7.0, 11.5, 12.0):
        screen.view.update(training(elapsed_s=elapsed_s))
    assert [line[:9] for line in screen.lines] == ["[   1.0s]", "[   6.0s]", "[  11.5s]"]


def test_plain_view_prints_the_last_snapshot_once_when_it_is_closed(screen: Screen) -> None:
    screen.view.update(training(elapsed_s=1.0))
    screen.view.update(training(elapsed_s=2.0))
    screen.view.close()
    screen.view.close()
    assert [line[:9] for line in screen.lines] == ["[   1.0s]", "[   2.0s]"]


def test_plain_view_prints_nothing_when_it_is_closed_before_the_first_snapshot(screen: Screen) -> None:
    screen.view.close()
    assert screen.lines == []


def test_plain_view_repeats_the_last_return_while_no_game_ends(screen: Screen) -> None:
    screen.view.update(training(elapsed_s=0.0, metrics={"charts/episodic_return": 70.0}))
    screen.view.update(training(elapsed_s=1.0, metrics={"charts/episodic_return": 71.0}))
    screen.view.update(training(elapsed_s=5.0, metrics={"charts/episodic_return": None}))
    assert "| return 71.0 |" in screen.lines[1]


def test_plain_view_prints_a_note_only_when_it_changed(screen: Screen) -> None:
    for elapsed_s, note in ((0.0, "filling replay"), (5.0, "training"), (10.0, "training")):
        screen.view.update(training(elapsed_s=elapsed_s, note=note))
    assert [line.rsplit(" | ")[-1] for line in screen.lines] == ["filling replay", "training", "eta 2m10s"]


def test_plain_view_counts_skipped_steps_and_restarts_when_there_are_any(screen: Screen) -> None:
    screen.view.update(training(metrics={"learner/skipped_steps": 3.0}, restarts=1))
    assert "| loss 2.31 | skipped 3 | restarts 1 | eta" in screen.lines[0]


def test_plain_view_prints_a_message_as_it_is_when_it_contains_brackets(screen: Screen) -> None:
    message = "actor-0 died: ValueError('[/bold] shape [2, 3] is not [red] :warning:') " + "x" * 80
    screen.view.line(message)
    assert screen.lines == [message]
