"""The view for terminals, rendered into a recorded console."""

import dataclasses
import io
import math
from typing import Any

import pytest
from rich.console import Console

from mzpipe.ipc.stages import Stage
from mzpipe.telemetry import LiveView, Snapshot
from mzpipe.telemetry.metrics import BY_TAG, ROWS

from .samples import LINKED, SILENT, starting, training

TALLEST = 24
BOLD_RED = "\x1b[1;31m"


def terminal(width: int, height: int = TALLEST) -> Console:
    """A terminal that remembers what was drawn on it."""
    return Console(file=io.StringIO(), width=width, height=height, force_terminal=True, record=True, _environ={})


def draw(snapshot: Snapshot, *, width: int = 80, height: int = TALLEST, styles: bool = False) -> list[str]:
    """The rows of the panel."""
    console = terminal(width, height)
    view = LiveView(console, run_name="cartpole [seed 0]")
    view.update(snapshot)
    panel = console.export_text(styles=styles)
    view.close()
    return panel.splitlines()


def row(rows: list[str], word: str) -> str:
    """The one row with this word in it."""
    [found] = [text for text in rows if f" {word} " in text]
    return " ".join(found.split())


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("snapshot", [training(), starting()], ids=["training", "starting"])
def test_live_view_fills_the_width_in_a_screen_of_24_rows(width: int, snapshot: Snapshot) -> None:
    rows = draw(snapshot, width=width)
    assert {len(text) for text in rows} == {width}
    assert len(rows) < TALLEST


@pytest.mark.parametrize("width", [80, 120])
def test_live_view_cuts_nothing_short_when_names_are_of_ordinary_length(width: int) -> None:
    every_row = {row.rate.tag: 123_456.0 for row in ROWS if row.stage is not Stage.REANALYZE}
    rows = draw(training(metrics=every_row), width=width)
    assert "…" not in "".join(rows)
    assert [each for each in every_row if f" {BY_TAG[each].unit} " not in "".join(rows)] == []


def test_live_view_draws_the_same_number_of_rows_when_a_note_is_longer_than_the_panel() -> None:
    assert len(draw(training(note="waiting for replay " * 20))) == len(draw(training()))


def test_live_view_stays_within_the_screen_when_it_is_very_narrow() -> None:
    assert {len(text) for text in draw(training(), width=40)} == {40}


def test_live_view_shows_rate_unit_and_queue_of_every_stage() -> None:
    rows = draw(training())
    assert "env step 1,020 env steps/s" in row(rows, "env step")
    assert row(rows, "env step").endswith("31% │")
    assert "inference device 441 batches/s" in row(rows, "inference device")
    assert "%" not in row(rows, "inference device")
    assert row(rows, "sample").endswith("95% │")
    assert "learner optimiser 148 steps/s" in row(rows, "learner optimiser")
    assert "reanalyze" not in "".join(rows)


def test_live_view_shows_the_way_to_each_limit_and_the_time_it_takes() -> None:
    rows = draw(training())
    assert "12,400 / 145,000 ━" in row(rows, "12,400")
    assert row(rows, "12,400").endswith("2m10s │")
    assert "3,100 / 100,000" in row(rows, "3,100")
    assert "0.6 / 30.0" in row(rows, "minutes")
    assert row(rows, "120.5 / 475.0").endswith("25% │")


def test_live_view_shows_learning_and_data_side_by_side() -> None:
    rows = draw(training())
    assert "return 88.4 replay 9.8k of 100k" in row(rows, "88.4")
    assert "eval 120.5 ± 33.2 at 3k samples/insert 24.9 of 25.0" in row(rows, "samples/insert")
    assert "best 130.2 weights version 31" in row(rows, "best")
    assert "staleness 1.2 versions" in row(rows, "staleness")
    assert "loss 2.31" in row(rows, "loss")
    assert "0:00:35" in row(rows, "training")


def test_live_view_shows_dashes_for_what_was_not_measured() -> None:
    rows = draw(starting(limits={"return_mean": (math.nan, 18.0)}))
    assert "eval - samples/insert - of 25.0" in row(rows, "eval")
    assert "- / 18.0" in row(rows, "18.0")
    assert "loss -" in row(rows, "loss")


@pytest.mark.parametrize("changes", [{"metrics": {"learner/skipped_steps": 7.0}}, {"restarts": 7}])
def test_live_view_is_red_when_steps_were_skipped_or_processes_restarted(changes: dict[str, Any]) -> None:
    assert f"{BOLD_RED}7" in "".join(draw(training(**changes), styles=True))
    assert BOLD_RED not in "".join(draw(training(), styles=True))


def test_live_view_keeps_the_last_return_while_no_game_ends() -> None:
    console = terminal(80)
    view = LiveView(console)
    view.update(training())
    console.export_text()
    view.update(training(metrics={"charts/episodic_return": None}))
    assert "return    88.4" in console.export_text()
    view.close()


def test_live_view_shows_brackets_as_they_are() -> None:
    rows = draw(training(note="died: [/bold] shape [2, 3]"))
    assert "cartpole [seed 0]" in rows[0]
    assert "died: [/bold] shape [2, 3]" in rows[1]


def test_live_view_prints_messages_above_the_panel() -> None:
    console = terminal(80)
    view = LiveView(console)
    view.line("before [/x]")
    view.update(training())
    console.export_text()
    view.line("actor-0 died: [/bold]")
    rows = console.export_text().splitlines()
    view.close()
    assert rows[0].endswith("actor-0 died: [/bold]")
    assert rows[-1].startswith("╰")


def test_live_view_closes_twice_or_before_its_first_snapshot_without_harm() -> None:
    view = LiveView(terminal(80))
    view.close()
    view.update(training())
    view.close()
    view.close()


@pytest.mark.parametrize("width", [80, 120])
def test_live_view_shows_where_pods_live_and_how_old_their_weights_are(width: int) -> None:
    rows = draw(training(pods=(LINKED, SILENT)), width=width, height=40)
    assert row(rows, "node-b") == "│ 0 node-b 512 newest 64 │"
    assert row(rows, "node-c") == "│ 1 node-c no link 9 behind 0 │"
    assert [text for text in draw(training(), width=width) if "node" in text] == []


def test_live_view_shows_pods_without_a_link_first_and_says_how_many_are_linked() -> None:
    rows = draw(training(pods=(*[LINKED] * 50, SILENT)), height=40)
    nodes = [text.split()[2] for text in rows if " node-" in text]
    assert nodes == ["node-c", "node-b", "node-b", "node-b"]
    assert "50 of 51 pods are linked" in "".join(rows)


def test_live_view_shows_no_control_characters_of_a_pods_name() -> None:
    rows = draw(training(pods=(dataclasses.replace(LINKED, node="a\x1b[31mb"),)), height=40)
    assert not any("\x1b" in text for text in rows)
