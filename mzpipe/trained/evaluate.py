"""Scores a saved run: plays greedy games with one checkpoint, many in parallel."""

import dataclasses
import warnings
from contextlib import closing
from typing import Any, NamedTuple

from ..config import EvaluatorConfig, GameConfig, OpponentName, Profile, find_protocol, load_profile, under_protocol
from ..errors import GameWarning, UsageError
from ..evaluator.episodes import check_opponent, evaluation_trees, match_protocol, protocol_settings
from ..evaluator.versus import make_episodes
from ..games import GameSpec, describe_game, make_game, opened
from ..planning import derive_seed
from ..runs.directory import RunDirectory, refuse_no_run
from . import Progress
from .direct import DirectPlanner
from .trained import TrainedAgent, load_agent

# Used when neither the caller nor a protocol gives a number.
_DEFAULT_EPISODES = 20


class Examination(NamedTuple):
    """The games to play; None leaves a choice to the run and its protocol."""

    # `best`, `latest`, a learner step, or a directory's name; None: `best` if there is one, else `latest`.
    checkpoint: str | None = None
    # Emulator settings by name; None: the profile's own.
    protocol: str | None = None
    # Whole games with each seed, and the number of seeds, counting up from first_seed.
    episodes: int | None = None
    num_seeds: int | None = None
    first_seed: int = 0
    # Simulations per move; None: the same as in the run's own evaluations.
    num_simulations: int | None = None
    # Leaves of each tree in one network call.
    leaves: int = 1
    # Whether the network's outputs for a root are means over the game's symmetries.
    symmetries: bool = False
    # Two-player games: the agent's opponent, and its playouts per move; None: the profile's.
    opponent: OpponentName | None = None
    opponent_simulations: int | None = None
    # The program of the opponent "engine", and its arguments; None: the profile's.
    opponent_command: tuple[str, ...] | None = None


class Scores(NamedTuple):
    """The report of `eval`; the step counters are the checkpoint's."""

    checkpoint: str
    # The returns of each seed's games, seed after seed.
    returns: list[float]
    seeds: list[int]
    protocol: str
    protocol_settings: dict[str, Any]
    weights_version: int
    env_steps: int
    learner_steps: int
    game: str
    num_players: int
    num_simulations: int
    leaves: int = 1
    symmetries: bool = False


def evaluate(run: RunDirectory, examination: Examination, progress: Progress) -> Scores:
    """Plays whole games as `examination` says.

    Raises UsageError when the directory holds no run, the network cannot play
    under the protocol, a number of playouts is given for an opponent that has
    none, or a search cannot have so many leaves; ConfigError when there is no such protocol or the game has no such
    opponent; CheckpointError when the checkpoint is missing, damaged, or belongs to
    another game or model; DeviceError under the same conditions as DirectPlanner.
    """
    agent = load_agent(run.path, _examined_profile(run, examination), examination.checkpoint)
    profile, game = agent.profile, agent.game
    _check_opponent(examination, profile, game)
    seeds = _seeds(profile.game, examination)
    return Scores(
        checkpoint=agent.checkpoint,
        returns=_play(agent, seeds, examination, progress),
        seeds=seeds,
        protocol=match_protocol(profile, game.num_players),
        protocol_settings=protocol_settings(profile, game.num_players),
        weights_version=agent.weights_version,
        env_steps=agent.env_steps,
        learner_steps=agent.learner_steps,
        game=game.description,
        num_players=game.num_players,
        num_simulations=agent.search.num_simulations,
        leaves=examination.leaves,
        symmetries=examination.symmetries,
    )


def _examined_profile(run: RunDirectory, examination: Examination) -> Profile:
    """The run's profile with the examination's protocol and number of episodes."""
    refuse_no_run(run.path)
    profile = load_profile(run.profile)
    game = profile.game
    if examination.protocol is not None:
        game = under_protocol(game, find_protocol(examination.protocol, said_by="--protocol "))
        _check_action_set(profile.game, game)
    episodes = examination.episodes
    if episodes is None:
        episodes = find_protocol(game.protocol).episodes if game.protocol else _DEFAULT_EPISODES
    return dataclasses.replace(profile, game=game, evaluator=_evaluator(profile.evaluator, examination, episodes))


def _evaluator(config: EvaluatorConfig, examination: Examination, episodes: int) -> EvaluatorConfig:
    return dataclasses.replace(
        config,
        episodes=episodes,
        num_simulations=examination.num_simulations or config.num_simulations,
        opponent=examination.opponent or config.opponent,
        opponent_simulations=examination.opponent_simulations or config.opponent_simulations,
        opponent_command=_command(config, examination),
    )


def _command(config: EvaluatorConfig, examination: Examination) -> tuple[str, ...]:
    """The engine's, which another opponent than the profile's leaves out."""
    if examination.opponent_command is not None or examination.opponent not in (None, config.opponent):
        return examination.opponent_command or ()
    return config.opponent_command


def _seeds(game: GameConfig, examination: Examination) -> list[int]:
    """The seeds to play; the protocol sets their number unless the caller gives a number of episodes or seeds."""
    count = examination.num_seeds or 1
    if game.protocol and examination.num_seeds is None and examination.episodes is None:
        count = find_protocol(game.protocol).seeds
    return [examination.first_seed + index for index in range(count)]


def _check_action_set(trained: GameConfig, played: GameConfig) -> None:
    """Raises UsageError unless the protocol's games have the actions of the training games, one per policy logit."""
    if played.atari.full_action_space == trained.atari.full_action_space:
        return
    known, needed = (describe_game(game, training=False).num_actions for game in (trained, played))
    if known != needed:
        raise UsageError(
            f"--protocol {played.protocol}: {played.name} has {needed} actions under it, the run's network knows "
            f"{known}: train with game.atari.full_action_space={str(played.atari.full_action_space).lower()}"
        )


def _check_opponent(examination: Examination, profile: Profile, game: GameSpec) -> None:
    if examination.opponent is not None and game.num_players == 1:
        raise UsageError(f"--opponent {examination.opponent}: {game.name} has one player: leave it out")
    check_opponent(profile.evaluator, game)
    if examination.opponent_simulations is not None and profile.evaluator.opponent not in ("rollouts", "engine"):
        raise UsageError(
            f"--opponent-simulations {examination.opponent_simulations}: the opponent is "
            f"{profile.evaluator.opponent!r}, which has no playouts: add --opponent rollouts"
        )


def _play(agent: TrainedAgent, seeds: list[int], examination: Examination, progress: Progress) -> list[float]:
    num_trees = evaluation_trees(agent.profile.evaluator)
    leaves, symmetries = examination.leaves, examination.symmetries
    planner = DirectPlanner(agent, agent.search, num_trees=num_trees, leaves=leaves, symmetries=symmetries)
    returns: list[float] = []
    for seed in seeds:
        returns += _play_seed(agent.profile, planner, seed, _shifted(progress, len(returns), len(seeds)))
    return returns


def _shifted(progress: Progress, done: int, num_seeds: int) -> Progress:
    """A callback that turns one seed's progress into the progress of all seeds."""
    return lambda now, each: progress(done + now, each * num_seeds)


def _play_seed(profile: Profile, planner: DirectPlanner, seed: int, progress: Progress) -> list[float]:
    with (
        opened(make_game(profile.game, planner.num_trees, derive_seed(seed, "eval"), training=False)) as game,
        closing(make_episodes(profile, game, planner, seed)) as episodes,
    ):
        episodes.begin()
        while not episodes.finished:
            episodes.do_work()
            if episodes.endless is not None:
                warnings.warn(episodes.endless, GameWarning, stacklevel=1)
            progress(len(episodes.results.returns), episodes.num_episodes)
    return episodes.results.returns
