"""Scores of a saved run: greedy games with one checkpoint, inference server and games in this process."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..config import Profile, load_profile
from ..errors import UsageError
from ..evaluator.episodes import EvaluationGames
from ..evaluator.versus import make_episodes
from ..games import describe_game, make_game
from ..ipc.dataplane import DataPlane, Member
from ..nets import FlatWeights, Model, resolve_devices, restore_model
from ..planning import LanePlanner, derive_seed, greedy_search, signed_search
from ..weights import Checkpoint, CheckpointStore, WeightsPublisher
from .memory import ModelSizes
from .plan import make_plan
from .roles import Devices, Storage
from .run_directory import RunDirectory
from .serial import SerialPipeline

PROTOCOL = "greedy: argmax of visits, no root noise, true rewards, whole games"
_EVALUATOR = Member("evaluator", 0)


class Scores(NamedTuple):
    """What `eval` reports; the steps are the checkpoint's."""

    checkpoint: str
    returns: list[float]
    weights_version: int
    env_steps: int
    learner_steps: int
    game: str


def evaluate(
    run: RunDirectory, checkpoint: str | None, episodes: int, seed: int, progress: Callable[[int, int], None]
) -> Scores:
    """Plays `episodes` whole games; `checkpoint` None takes `best` if there is one, else `latest`.

    Raises UsageError when the directory holds no run, CheckpointError when the
    checkpoint is missing, damaged or another model's.
    """
    if not run.profile.is_file():
        raise UsageError(f"{run.path}: no run here (no profile.toml)")
    profile = load_profile(run.profile)
    profile = dataclasses.replace(profile, evaluator=dataclasses.replace(profile.evaluator, episodes=episodes))
    store = CheckpointStore(run.checkpoints)
    name = store.chosen(checkpoint)
    loaded = store.load(name)
    with tempfile.TemporaryDirectory(prefix="mzpipe-eval-") as directory:
        returns = _play(profile, loaded, Path(directory), seed, progress)
    state = loaded.state
    return Scores(
        checkpoint=name,
        returns=returns,
        weights_version=int(state["weights_version"]),
        env_steps=int(state["env_steps"]),
        learner_steps=int(state["learner_steps"]),
        game=describe_game(profile.game).description,
    )


def _play(
    profile: Profile, loaded: Checkpoint, directory: Path, seed: int, progress: Callable[[int, int], None]
) -> list[float]:
    devices = Devices(("cpu",), (resolve_devices(profile.inference.devices)[0],))
    game_spec = describe_game(profile.game)
    shape = make_plan(profile, game_spec, devices, ModelSizes()).shape
    model = Model(profile.network, shape.observation_shape, shape.num_actions)
    restore_model(model, loaded)
    flat = FlatWeights(model)
    plane = DataPlane.create(directory, dataclasses.replace(shape, weights_bytes=4 * flat.size))
    WeightsPublisher(plane.weights()).publish(flat.read(), learner_steps=0, env_steps=0)
    pipeline = SerialPipeline(profile, plane, Storage(directory, directory, directory), devices, roles=("inference",))
    pipeline.start()
    try:
        episodes = _make_episodes(profile, plane, seed)
        while not episodes.finished:
            episodes.do_work()
            pipeline.lap()
            progress(len(episodes.results.returns), profile.evaluator.episodes)
        return episodes.results.returns
    finally:
        pipeline.close()


def _make_episodes(profile: Profile, plane: DataPlane, seed: int) -> EvaluationGames:
    (lane,) = plane.lane_clients(_EVALUATOR)
    game = make_game(profile.game, plane.shape.evaluator_trees, derive_seed(seed, "eval"), training=False)
    config = greedy_search(signed_search(profile.search, game.spec.num_players), profile.evaluator.num_simulations)
    planner = LanePlanner(lane, config, num_trees=game.num_games, num_actions=game.spec.num_actions, seed=seed)
    episodes = make_episodes(profile, game, planner, seed)
    episodes.begin()
    return episodes
