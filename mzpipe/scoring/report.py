"""Report: runs by game, each game's mean beside published figures, and aggregates over all games that have figures."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import UsageError
from ..games.figures import Figures, atari_figures, human_normalised
from .aggregates import AGGREGATES, Aggregate, Interval, aggregate, interval_of, mean, value_of
from .likeness import differences, published_budget
from .run import Run

# Below this many runs of a game intervals are narrower than they claim to be (docs/scores.md).
_ENOUGH_RUNS = 5
# Of published agents only each game's mean is known, and with it nothing that looks at single runs.
_OF_MEANS = ("median", "mean")


class GameScores(NamedTuple):
    """A game's runs, and their mean; its spread and interval are over runs, None of a single one."""

    game: str
    runs: tuple[Run, ...]
    return_mean: float
    return_std: float | None
    interval: Interval | None
    human_normalised: float | None
    figures: Figures | None


class ScoreReport(NamedTuple):
    """All of it; no aggregates where no game has figures."""

    games: tuple[GameScores, ...]
    aggregates: tuple[Aggregate, ...]
    # By agent and aggregate, over the same games; of agents with figures in all of these.
    published: Mapping[str, Mapping[str, float]]
    # What has to be known to read the numbers right, a line each.
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Fields for a JSON file."""
        runs = [run for game in self.games for run in game.runs]
        return {
            "runs": [{**run._asdict(), "human_normalised": run.human_normalised} for run in runs],
            "games": [_game_fields(game) for game in self.games],
            "aggregates": [each._asdict() for each in self.aggregates],
            "published_aggregates": self.published,
            "notes": self.notes,
        }


def make_report(runs: Sequence[Run], *, mixed: bool = False) -> ScoreReport:
    """The report of at least one run; raises UsageError for runs that are no match unless `mixed` lets them in."""
    unlike = differences(runs)
    if unlike and not mixed:
        raise UsageError(f"{'; '.join(unlike)}: compare like with like, or add --mixed")
    by_game: dict[str, list[Run]] = {}
    for run in runs:
        by_game.setdefault(run.game, []).append(run)
    games = tuple(_game_scores(game, each) for game, each in sorted(by_game.items()))
    normalised = _normalised(games)
    return ScoreReport(
        games=games,
        aggregates=aggregate(normalised) if normalised else (),
        published=_published(games),
        notes=(*(f"mixed: {line}" for line in unlike), *published_budget(runs), *_cautions(games)),
    )


def _game_scores(game: str, runs: Sequence[Run]) -> GameScores:
    means = [run.return_mean for run in runs]
    return GameScores(
        game=game,
        runs=tuple(runs),
        return_mean=statistics.fmean(means),
        return_std=statistics.stdev(means) if len(means) > 1 else None,
        interval=interval_of(mean, [means]),
        human_normalised=human_normalised(game, statistics.fmean(means)),
        figures=atari_figures().get(game),
    )


def _normalised(games: Sequence[GameScores]) -> list[list[float]]:
    """Of every run, game by game; games without figures are left out."""
    return [
        [game.figures.normalised(run.return_mean) for run in game.runs] for game in games if game.figures is not None
    ]


def _published(games: Sequence[GameScores]) -> dict[str, dict[str, float]]:
    figures = [game.figures for game in games if game.figures is not None]
    agents = figures[0].published if figures else ()
    published = {}
    for agent in agents:
        if all(agent in each.published for each in figures):
            scores = [[each.normalised(each.published[agent])] for each in figures]
            published[agent] = {name: value_of(AGGREGATES[name], scores) for name in _OF_MEANS}
    return published


def _cautions(games: Sequence[GameScores]) -> list[str]:
    counts = [len(game.runs) for game in games]
    single = [game.game for game in games if len(game.runs) == 1]
    if single:
        return [f"no intervals where a game has a single run: {', '.join(single)}"]
    if min(counts) < _ENOUGH_RUNS:
        return [f"intervals of {min(counts)} runs a game are narrower than they should be (docs/scores.md)"]
    return []


def _game_fields(game: GameScores) -> dict[str, Any]:
    return {
        "game": game.game,
        "runs": len(game.runs),
        "return_mean": game.return_mean,
        "return_std": game.return_std,
        "return_interval": game.interval,
        "human_normalised": game.human_normalised,
        "published": {} if game.figures is None else dict(game.figures.published),
    }
