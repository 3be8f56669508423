"""Trained: what a run directory says of its agent: profile, game, and the model of one checkpoint."""

from pathlib import Path
from typing import NamedTuple

from ..config import GameConfig, Profile, load_profile
from ..errors import CheckpointError
from ..games import GameSpec, describe_game, same_game
from ..nets import Model, restore_model
from ..runs.checkpoint import Checkpoint, CheckpointStore
from ..runs.directory import CHECKPOINTS, PROFILE, refuse_no_run


class TrainedAgent(NamedTuple):
    """The model on the CPU as the checkpoint has it, and whose it is."""

    profile: Profile
    game: GameSpec
    model: Model
    # The checkpoint's directory, and how far training was: both counters are the checkpoint's.
    checkpoint: str
    learner_steps: int
    env_steps: int


def load_trained(run: str | Path, checkpoint: str | None, num_simulations: int | None = None) -> TrainedAgent:
    """The agent of a run; `checkpoint` is a name or a pointer, None is `best` if there is one, else `latest`.

    num_simulations replaces those of the profile's evaluations. Raises UsageError
    when the directory holds no run, ConfigError when num_simulations is out of
    range, CheckpointError when the checkpoint is missing, damaged, another game's
    or another model's.
    """
    path = Path(run)
    refuse_no_run(path)
    profile, store = load_profile(path / PROFILE, _overrides(num_simulations)), CheckpointStore(path / CHECKPOINTS)
    (name, loaded), game = store.load_chosen(checkpoint), describe_game(profile.game, training=False)
    check_game(path / CHECKPOINTS / name, loaded, profile.game)
    model = Model(profile.network, game.stacked_shape, game.num_actions)
    restore_model(model, loaded)
    steps = (int(loaded.state[counter]) for counter in ("learner_steps", "env_steps"))
    return TrainedAgent(profile, game, model, name, *steps)


def check_game(path: Path, loaded: Checkpoint, game: GameConfig) -> None:
    """Raises CheckpointError unless the checkpoint at `path` was trained on the game of the run's profile."""
    trained_on = str(loaded.state.get("game"))
    if not same_game(trained_on, game.name):
        raise CheckpointError(f"{path}: a checkpoint of {trained_on}, and game.name={game.name!r} in the run's profile")


def _overrides(num_simulations: int | None) -> tuple[str, ...]:
    """The profile's own bounds hold for the number too; evaluator.num_simulations=0 takes it over."""
    if num_simulations is None:
        return ()
    return (f"search.num_simulations={num_simulations}", "evaluator.num_simulations=0")
