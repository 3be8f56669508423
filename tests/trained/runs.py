"""Run directories of tiny untrained models, whose heads are not at their zero start."""

from pathlib import Path

import torch

from mzpipe.config import Profile
from mzpipe.games import describe_game
from mzpipe.nets import Model, numpy_state
from mzpipe.runs.checkpoint import LATEST, Checkpoint, CheckpointStore
from mzpipe.runs.directory import save_profile
from tests.tiny import tiny_profile

CHECKPOINT = "step_00000030"
BOARD = ("game.name=tic_tac_toe", "network.kind=residual", "network.downsample=none", "network.num_channels=8")
PENDULUM = ("game.name=Pendulum-v1", "game.gymnasium.sampled_actions=6")
PONG = (
    "game.name=Pong",
    "game.frame_stack=2",
    "game.atari.image_size=42",
    "network.kind=residual",
    "network.num_channels=4",
    "network.head_channels=2",
    "network.head_hidden_size=8",
    "network.downsample_blocks=[0,0,0]",
    "network.num_blocks=0",
)


def make_run(path: Path, *overrides: str, seed: int = 0) -> Path:
    """A run directory with one checkpoint of a random model."""
    profile = tiny_profile(*overrides)
    path.mkdir()
    save_profile(profile, path / "profile.toml")
    state = {"learner_steps": 30, "env_steps": 300, "weights_version": 31, "game": profile.game.name}
    model = shaken_model(profile, seed)
    CheckpointStore(path / "checkpoints").save(CHECKPOINT, Checkpoint(numpy_state(model), {}, state), pointer=LATEST)
    return path


def shaken_model(profile: Profile, seed: int) -> Model:
    """A model of the profile's game with random heads."""
    game = describe_game(profile.game)
    torch.manual_seed(seed)
    model = Model(profile.network, game.observation_shape, game.num_actions, action_size=game.action_size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()
