"""Compares runs' scores: human-normalised, aggregated over runs and games with intervals, next to published ones."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ...errors import UsageError
from ...games.figures import STEPS_100K, Figures, atari_figures, human_normalised
from .aggregates import AGGREGATES, Aggregate, Interval, aggregate, interval_of, mean, value_of

# Env steps within this factor count as equal: runs end between two evaluations, so theirs always differ a little.
_ALIKE = 1.1
_NAMED = 3
# With fewer runs of a game than this, intervals are narrower than they should be (docs/scores.md).
_ENOUGH_RUNS = 5
# Only the mean in each game is known of published agents, so aggregates over single runs are not.
_OF_MEANS = ("median", "mean")


class Run(NamedTuple):
    """A run and its score; `game` is the name from game_of."""

    name: str
    game: str
    # The first word of the protocol: "greedy", "atari100k".
    protocol: str
    # The env steps that the scored weights were trained for.
    env_steps: int
    episodes: int
    # Mean and standard deviation over these episodes.
    return_mean: float
    return_std: float
    # (env steps, mean return) of every known evaluation, in order; learner steps if the run played no games.
    curve: tuple[tuple[int, float], ...]

    @property
    def human_normalised(self) -> float | None:
        """The human-normalised mean return; None in a game without figures."""
        return human_normalised(self.game, self.return_mean)


def differences(runs: Sequence[Run]) -> list[str]:
    """One line per difference between runs that a report would combine; none if all are comparable."""
    return [line for name, group in _groups(runs) for line in (*_protocols(name, group), *_budgets(name, group))]


def published_budget(runs: Sequence[Run]) -> list[str]:
    """A line if Atari runs had other env steps than the published agents they are compared with."""
    env_steps = [run.env_steps for run in runs if run.game in atari_figures()]
    if not env_steps or (max(env_steps) <= _ALIKE * STEPS_100K and _ALIKE * min(env_steps) >= STEPS_100K):
        return []
    spans = " to ".join(f"{steps:,}" for steps in dict.fromkeys((min(env_steps), max(env_steps))))
    return [f"published agents had {STEPS_100K:,} env steps, these runs {spans}"]


def _groups(runs: Sequence[Run]) -> Iterator[tuple[str, list[Run]]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault("Atari" if run.game in atari_figures() else run.game, []).append(run)
    yield from groups.items()


def _protocols(name: str, group: list[Run]) -> Iterator[str]:
    protocols = list(dict.fromkeys(run.protocol for run in group))
    if len(protocols) > 1:
        each = [f"{one} ({_listed([run.name for run in group if run.protocol == one])})" for one in protocols]
        yield f"{name}: protocols differ: {', '.join(each)}"


def _budgets(name: str, group: list[Run]) -> Iterator[str]:
    least, most = (pick(group, key=lambda run: run.env_steps) for pick in (min, max))
    if most.env_steps > _ALIKE * least.env_steps:
        yield (
            f"{name}: env steps differ by more than {_ALIKE - 1.0:.0%}: "
            f"{least.env_steps:,} ({least.name}) to {most.env_steps:,} ({most.name})"
        )


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


class GameScores(NamedTuple):
    """A game's runs and their mean; spread and interval are over runs, None if there is a single run."""

    game: str
    runs: tuple[Run, ...]
    return_mean: float
    return_std: float | None
    interval: Interval | None
    human_normalised: float | None
    figures: Figures | None


class ScoreReport(NamedTuple):
    """The whole report; it has no aggregates if no game has figures."""

    games: tuple[GameScores, ...]
    aggregates: tuple[Aggregate, ...]
    # Aggregates of published agents over the same games, by agent; only agents with figures in all of them.
    published: Mapping[str, Mapping[str, float]]
    # Cautions that a reader of the numbers needs, one line each.
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
    """The report of one or more runs; raises UsageError if they are not comparable, unless `mixed` allows it."""
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
    """The human-normalised score of every run, game by game; games without figures are left out."""
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
