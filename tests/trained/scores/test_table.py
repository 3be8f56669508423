"""The tables of a report, in 80 columns."""

from io import StringIO

import pytest
from rich.console import Console

from mzpipe.trained.scores import make_report
from mzpipe.trained.scores.table import aggregates_table, games_table, runs_table
from tests.trained.scores.samples import atari_runs, cartpole_runs, make_run

WIDEST = [
    make_run(f"atari100k-montezuma-seed{place}", "MontezumaRevenge", -999_999.0 + place, 200_000_000, "atari100k")
    for place in range(2)
]


def printed(table):
    """Its lines on a terminal of 80 columns."""
    console = Console(file=StringIO(), width=80)
    console.print(table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_games_stand_next_to_published_scores():
    lines = printed(games_table(make_report([make_run("a", return_mean=10.0), make_run("b", return_mean=12.0)])))
    assert lines[-1].split() == ["Pong", "2", "11", "+-", "1.41", "0.898", "-6.7", "20.1", "16.7"]


def test_games_without_figures_have_no_such_columns_unless_others_have_them():
    alone = printed(games_table(make_report(cartpole_runs(2))))
    assert "MuZero" not in " ".join(alone)
    mixed = printed(games_table(make_report([*cartpole_runs(1), make_run(game="Venture"), make_run("b")])))
    assert [line.split()[-4:] for line in mixed if line.startswith("CartPole")] == [["-"] * 4]
    assert [line.split()[-3:] for line in mixed if line.startswith("Venture")] == [["-"] * 3]


def test_runs_stand_under_their_game():
    lines = printed(runs_table(make_report([make_run("b"), make_run("a", "Breakout", 30.5, env_steps=99_000)])))
    assert (lines[1], lines[3]) == ("Breakout", "Pong")
    assert lines[2].split() == ["a", "32", "30.5", "+-", "6.1", "99,000", "greedy", "1.000"]
    assert lines[4].split() == ["b", "32", "12", "+-", "2.4", "100,000", "greedy", "0.926"]


def test_aggregates_stand_with_their_intervals():
    report = make_report(atari_runs())
    rows = {line.split("  ")[0]: line.split() for line in printed(aggregates_table(report))[1:]}
    assert list(rows) == ["IQM", "optimality gap", "median", "mean"]
    low, high = report.aggregates[0].interval
    assert rows["IQM"] == ["IQM", f"{report.aggregates[0].value:.3f}", f"{low:.3f}", "to", f"{high:.3f}", "-", "-", "-"]
    assert rows["mean"][-3:] == ["0.721", "4.090", "3.747"]


def test_aggregates_of_single_runs_have_no_interval():
    (row,) = [line for line in printed(aggregates_table(make_report([make_run()]))) if line.startswith("IQM")]
    assert row.split() == ["IQM", "0.926", "-", "-", "-", "-"]


@pytest.mark.parametrize("table", [games_table, runs_table, aggregates_table])
def test_the_widest_numbers_fit_80_columns_uncut(table):
    lines = printed(table(make_report(WIDEST)))
    assert max(map(len, lines)) <= 80
    assert "\u2026" not in "".join(lines)


def test_names_are_shown_as_they_are_whatever_they_look_like():
    lines = printed(runs_table(make_report([make_run("[bold]a", "[red]game", protocol="[/]")])))
    assert "[bold]a" in lines[2]
    assert "[red]game" in lines[1]
    assert "[/]" in lines[2]
