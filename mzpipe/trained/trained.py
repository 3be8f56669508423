"""Loads a run's trained agent: profile, game, and the model of one checkpoint."""

from pathlib import Path
from typing import NamedTuple

from ..config import GameConfig, Profile, SearchConfig, load_profile
from ..errors import CheckpointError
from ..games import GameSpec, describe_game, same_game
from ..nets import Model, model_of
from ..planning import greedy_search, signed_search
from ..runs.checkpoint import Checkpoint, CheckpointStore
from ..runs.directory import CHECKPOINTS, PROFILE, refuse_no_run
from ..runs.releases import find_run


class TrainedAgent(NamedTuple):
    """The model of a checkpoint, on the CPU, with the profile and the game that it belongs to."""

    profile: Profile
    game: GameSpec
    model: Model
    # The checkpoint's directory name, and its training counters.
    checkpoint: str
    learner_steps: int
    env_steps: int
    weights_version: int

    @property
    def search(self) -> SearchConfig:
        """The search of one move, greedy as in the run's evaluations."""
        config = signed_search(self.profile.search, self.game.num_players)
        return greedy_search(config, self.profile.evaluator.num_simulations)


def load_trained(run: str | Path, checkpoint: str | None, num_simulations: int | None = None) -> TrainedAgent:
    """The agent of a run, a directory or a name as find_run takes it.

    `checkpoint` is a name or a pointer, None is `best` if there is one, else `latest`.
    num_simulations replaces the number of the profile's evaluations. Raises
    UsageError when the directory holds no run, ConfigError when num_simulations is
    out of range, CheckpointError when the checkpoint is missing, damaged, or
    belongs to another game or model.
    """
    path = find_run(run)
    refuse_no_run(path)
    return load_agent(path, load_profile(path / PROFILE, _overrides(num_simulations)), checkpoint)


def load_agent(run: Path, profile: Profile, checkpoint: str | None) -> TrainedAgent:
    """The agent of a run under a profile with other playing settings; raises the same errors as load_trained."""
    path = run / CHECKPOINTS
    (name, loaded), game = CheckpointStore(path).load_chosen(checkpoint), describe_game(profile.game, training=False)
    _check_game(path / name, loaded, profile.game)
    model = model_of(loaded, profile.network, game.observation_shape, game.num_actions, game.action_size)
    counters = (loaded.state[counter] for counter in ("learner_steps", "env_steps", "weights_version"))
    return TrainedAgent(profile, game, model, name, *counters)


def _check_game(path: Path, loaded: Checkpoint, game: GameConfig) -> None:
    """Raises CheckpointError unless the checkpoint at `path` was trained on the game of the run's profile."""
    trained_on = str(loaded.state.get("game"))
    if not same_game(trained_on, game.name):
        raise CheckpointError(
            f"{path}: a checkpoint of {trained_on}, but the run's profile has game.name={game.name!r}"
        )


def _overrides(num_simulations: int | None) -> tuple[str, ...]:
    """Overrides that set the number, so that the profile's bounds check it; 0 makes the evaluator use it too."""
    if num_simulations is None:
        return ()
    return (f"search.num_simulations={num_simulations}", "evaluator.num_simulations=0")
