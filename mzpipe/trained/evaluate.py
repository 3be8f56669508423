"""Scores of a saved run: greedy games with one checkpoint, inference server and games in this process."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..config import EvaluatorConfig, GameConfig, OpponentName, Profile, find_protocol, load_profile, under_protocol
from ..errors import UsageError
from ..evaluator.episodes import match_protocol, protocol_settings
from ..evaluator.versus import make_episodes
from ..games import GameSpec, describe_game, make_game
from ..ipc.dataplane import DataPlane
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..ipc.weights import WeightsPublisher
from ..launch.plan import ModelSizes, check_opponent, make_plan
from ..launch.roles import Devices
from ..launch.serial import SerialPipeline
from ..nets import FlatWeights, Model, resolve_devices, restore_model
from ..planning import LanePlanner, derive_seed, greedy_search, signed_search
from ..runs.checkpoint import Checkpoint, CheckpointStore
from ..runs.directory import RunDirectory, Storage, refuse_no_run
from .trained import check_game

_EVALUATOR = Member(Role.EVALUATOR, 0)
# Where neither the caller nor a protocol says how many.
_DEFAULT_EPISODES = 20
# Games that ended, and how many there will be; 0: the agent's moves decide how many lines of play there are.
Progress = Callable[[int, int], None]


class Examination(NamedTuple):
    """What to play; None leaves a thing to the run and its protocol."""

    # `best`, `latest`, a learner step, or a directory's name; None: `best` if there is one, else `latest`.
    checkpoint: str | None = None
    # Emulator settings by name; None: the profile's own.
    protocol: str | None = None
    # Whole games with each seed, and how many seeds, from first_seed on.
    episodes: int | None = None
    num_seeds: int | None = None
    first_seed: int = 0
    # Simulations per move; None: as in the run's own evaluations.
    num_simulations: int | None = None
    # Two-player games: who plays against the agent, and how many playouts a move of theirs has; None: the profile's.
    opponent: OpponentName | None = None
    opponent_simulations: int | None = None


class Scores(NamedTuple):
    """What `eval` reports; the steps are the checkpoint's."""

    checkpoint: str
    # Of every seed's games in turn.
    returns: list[float]
    seeds: list[int]
    protocol: str
    protocol_settings: dict[str, Any]
    weights_version: int
    env_steps: int
    learner_steps: int
    game: str
    num_players: int


def evaluate(run: RunDirectory, examination: Examination, progress: Progress) -> Scores:
    """Plays whole games as `examination` says.

    Raises UsageError when the directory holds no run, the network cannot play
    under the protocol, or playouts are asked of an opponent without any; ConfigError
    when there is no such protocol or the game has no such opponent; CheckpointError
    when the checkpoint is missing, damaged, or another game's or model's.
    """
    profile = _examined_profile(run, examination)
    store = CheckpointStore(run.checkpoints)
    name, loaded = store.load_chosen(examination.checkpoint)
    check_game(store.directory / name, loaded, profile.game)
    game = describe_game(profile.game, training=False)
    if examination.opponent is not None and game.num_players == 1:
        raise UsageError(f"--opponent {examination.opponent}: {game.name} has one player: leave it out")
    check_opponent(profile.evaluator.opponent, game)
    if examination.opponent_simulations is not None and profile.evaluator.opponent != "rollouts":
        raise UsageError(
            f"--opponent-simulations {examination.opponent_simulations}: the opponent is "
            f"{profile.evaluator.opponent!r}, which has no playouts: add --opponent rollouts"
        )
    seeds = _seeds(profile.game, examination)
    with tempfile.TemporaryDirectory(prefix="mzpipe-eval-") as directory:
        returns = _play(profile, game, loaded, Path(directory), seeds, progress)
    return Scores(
        checkpoint=name,
        returns=returns,
        seeds=seeds,
        protocol=match_protocol(profile, game.num_players),
        protocol_settings=protocol_settings(profile, game.num_players),
        weights_version=int(loaded.state["weights_version"]),
        env_steps=int(loaded.state["env_steps"]),
        learner_steps=int(loaded.state["learner_steps"]),
        game=game.description,
        num_players=game.num_players,
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
    )


def _seeds(game: GameConfig, examination: Examination) -> list[int]:
    """The protocol's number of seeds, where nobody says how many episodes or seeds."""
    count = examination.num_seeds or 1
    if game.protocol and examination.num_seeds is None and examination.episodes is None:
        count = find_protocol(game.protocol).seeds
    return [examination.first_seed + index for index in range(count)]


def _check_action_set(trained: GameConfig, played: GameConfig) -> None:
    """The network has as many policy logits as its training games had actions."""
    if played.atari.full_action_space == trained.atari.full_action_space:
        return
    known, needed = (describe_game(game, training=False).num_actions for game in (trained, played))
    if known != needed:
        raise UsageError(
            f"--protocol {played.protocol}: {played.name} has {needed} actions under it, the run's network knows "
            f"{known}: train with game.atari.full_action_space={str(played.atari.full_action_space).lower()}"
        )


def _play(
    profile: Profile, game: GameSpec, loaded: Checkpoint, directory: Path, seeds: list[int], progress: Progress
) -> list[float]:
    devices = Devices(("cpu",), (resolve_devices(profile.inference.devices)[0],))
    shape = make_plan(profile, game, devices, ModelSizes()).shape
    model = Model(profile.network, shape.observation_shape, shape.num_actions)
    restore_model(model, loaded)
    flat = FlatWeights(model)
    plane = DataPlane.create(directory, dataclasses.replace(shape, weights_bytes=4 * flat.size))
    WeightsPublisher(plane.weights()).publish(flat.read(), learner_steps=0, env_steps=0)
    pipeline = SerialPipeline(
        profile, plane, Storage(directory, directory, directory), devices, roles=(Role.INFERENCE,)
    )
    pipeline.start()
    try:
        returns: list[float] = []
        for seed in seeds:
            returns += _play_seed(profile, plane, pipeline, seed, _shifted(progress, len(returns), len(seeds)))
        return returns
    finally:
        pipeline.close()


def _shifted(progress: Progress, done: int, num_seeds: int) -> Progress:
    """The progress of one seed as that of all."""
    return lambda now, each: progress(done + now, each * num_seeds)


def _play_seed(
    profile: Profile, plane: DataPlane, pipeline: SerialPipeline, seed: int, progress: Progress
) -> list[float]:
    (lane,) = plane.lane_clients(_EVALUATOR)
    game = make_game(profile.game, plane.shape.evaluator_trees, derive_seed(seed, "eval"), training=False)
    config = greedy_search(signed_search(profile.search, game.spec.num_players), profile.evaluator.num_simulations)
    planner = LanePlanner(lane, config, num_trees=game.num_games, num_actions=game.spec.num_actions, seed=seed)
    episodes = make_episodes(profile, game, planner, seed)
    episodes.begin()
    while not episodes.finished:
        episodes.do_work()
        pipeline.lap()
        progress(len(episodes.results.returns), episodes.num_episodes)
    game.close()
    return episodes.results.returns
