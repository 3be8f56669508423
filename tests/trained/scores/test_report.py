"""Runs put together: by game, aggregated, and refused if they do not match."""

import json

import pytest

from mzpipe.errors import UsageError
from mzpipe.games.figures import MUZERO_20B, human_normalised
from mzpipe.trained.scores import make_report
from mzpipe.trained.scores.aggregates import AGGREGATES
from tests.trained.scores.samples import atari_runs, cartpole_runs, make_run


def pongs(*means):
    return [make_run(f"seed{place}", return_mean=mean) for place, mean in enumerate(means)]


def test_a_game_has_the_mean_and_the_sample_deviation_of_its_runs():
    (pong,) = make_report(pongs(10.0, 12.0, 17.0)).games
    assert (pong.game, len(pong.runs), pong.return_mean) == ("Pong", 3, 13.0)
    assert pong.return_std == pytest.approx((((-3.0) ** 2 + (-1.0) ** 2 + 4.0**2) / 2) ** 0.5)
    assert pong.human_normalised == pytest.approx((13.0 + 20.7) / 35.3)
    assert 10.0 <= pong.interval[0] < 13.0 < pong.interval[1] <= 17.0


def test_a_single_run_has_neither_deviation_nor_interval_and_the_report_says_so():
    report = make_report(pongs(10.0))
    (pong,) = report.games
    assert (pong.return_std, pong.interval) == (None, None)
    assert [each.interval for each in report.aggregates] == [None] * 4
    assert report.notes == ("no intervals where a game has a single run: Pong",)


def test_games_are_in_alphabetical_order_and_runs_as_they_came():
    report = make_report([make_run("b", "Pong"), make_run("c", "Breakout"), make_run("a", "Pong")])
    assert [(game.game, [run.name for run in game.runs]) for game in report.games] == [
        ("Breakout", ["c"]),
        ("Pong", ["b", "a"]),
    ]


def test_aggregates_are_of_normalised_scores_of_the_games_that_have_figures():
    runs = [make_run("a", "Pong", 14.6), make_run("b", "Breakout", 1.7), *cartpole_runs(1)]
    values = {each.name: each.value for each in make_report(runs).aggregates}
    assert values == pytest.approx({"IQM": 0.5, "optimality gap": 0.5, "median": 0.5, "mean": 0.5})
    assert list(values) == list(AGGREGATES)


def test_games_without_figures_have_no_aggregates():
    report = make_report(cartpole_runs(5))
    assert (report.aggregates, report.published, report.notes) == ((), {}, ())
    assert report.games[0].human_normalised is None


def test_published_agents_are_aggregated_over_the_same_games():
    report = make_report([make_run("a", "Pong"), make_run("b", "Breakout")])
    bbf = [human_normalised("Pong", 16.7), human_normalised("Breakout", 370.6)]
    assert report.published["BBF"] == pytest.approx({"median": sum(bbf) / 2, "mean": sum(bbf) / 2})
    assert set(report.published) == {"MuZero", "EfficientZero", "BBF", MUZERO_20B}


def test_agents_without_figures_in_every_game_are_left_out():
    report = make_report([make_run("a", "Pong"), make_run("b", "Venture")])
    assert set(report.published) == {MUZERO_20B}


@pytest.mark.parametrize(("num_runs", "notes"), [(3, 1), (4, 1), (5, 0)])
def test_few_runs_are_cautioned_about(num_runs, notes):
    assert len(make_report(atari_runs(num_runs)).notes) == notes


def test_different_protocols_are_refused_unless_they_are_asked_for():
    runs = [make_run("a"), make_run("b", protocol="atari100k"), make_run("c")]
    line = r"Atari: protocols differ: greedy \(a, c\), atari100k \(b\)"
    with pytest.raises(UsageError, match=rf"^{line}: compare like with like, or add --mixed$"):
        make_report(runs)
    assert make_report(runs, mixed=True).notes[0] == ("mixed: Atari: protocols differ: greedy (a, c), atari100k (b)")


def test_different_budgets_are_refused_unless_they_are_asked_for():
    runs = [make_run("a", env_steps=100_000), make_run("b", "Breakout", env_steps=400_000)]
    with pytest.raises(
        UsageError, match=r"^Atari: env steps differ by more than 10%: 100,000 \(a\) to 400,000 \(b\): compare like"
    ):
        make_report(runs)
    assert make_report(runs, mixed=True).notes[0].startswith("mixed: Atari: env steps differ")


def test_budgets_within_a_tenth_are_alike():
    assert make_report([make_run("a", env_steps=100_000), make_run("b", env_steps=110_000)])
    with pytest.raises(UsageError, match="env steps differ"):
        make_report([make_run("a", env_steps=100_000), make_run("b", env_steps=110_001)])


@pytest.mark.parametrize(("env_steps", "spans"), [((400_000,), "400,000"), ((50_000, 55_000), "50,000 to 55,000")])
def test_atari_runs_of_another_budget_than_published_ones_are_said_to_be(env_steps, spans):
    runs = [make_run(f"seed{place}", env_steps=steps) for place, steps in enumerate(env_steps)]
    assert make_report(runs).notes[0] == f"published agents had 100,000 env steps, these runs {spans}"
    others = [run._replace(game="CartPole-v1") for run in runs]
    assert "published" not in " ".join(make_report(others).notes)


def test_games_that_are_not_aggregated_together_may_differ():
    assert make_report([make_run("a", "CartPole-v1"), make_run("b", "LunarLander-v3", env_steps=9, protocol="other")])
    with pytest.raises(UsageError, match=r"^CartPole-v1: protocols differ"):
        make_report([make_run("a", "CartPole-v1"), make_run("b", "CartPole-v1", protocol="other")])


def test_many_runs_are_named_by_their_first_three():
    runs = [*(make_run(f"seed{place}") for place in range(5)), make_run("odd", protocol="other")]
    with pytest.raises(UsageError, match=r"greedy \(seed0, seed1, seed2 and 2 more\), other \(odd\)"):
        make_report(runs)


def test_json_fields_hold_everything_and_are_json():
    fields = json.loads(json.dumps(make_report([*atari_runs(2), *cartpole_runs(1)]).as_json(), allow_nan=False))
    assert set(fields) == {"runs", "games", "aggregates", "published_aggregates", "notes"}
    assert len(fields["runs"]) == 9
    pong = next(game for game in fields["games"] if game["game"] == "Pong")
    assert pong["published"]["BBF"] == 16.7
    assert [each["name"] for each in fields["aggregates"]] == list(AGGREGATES)
    assert all(len(each["interval"]) == 2 for each in fields["aggregates"])
    cartpole = next(run for run in fields["runs"] if run["game"] == "CartPole-v1")
    assert cartpole["human_normalised"] is None
    assert len(cartpole["curve"]) == 10
