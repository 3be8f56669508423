"""A tiny run's data plane in a private directory, for tests of single roles."""

from pathlib import Path

import numpy as np
import torch

from mzpipe.config import Profile, parse_profile
from mzpipe.games import describe_game
from mzpipe.inference.server import InferenceServer
from mzpipe.ipc.control import LocalPort
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.ipc.weights import WeightsPublisher
from mzpipe.launch.plan import ModelSizes, Plan, make_plan
from mzpipe.launch.roles import Devices
from mzpipe.nets import FlatWeights, Model
from mzpipe.runtime.context import RoleContext, Storage

EVALUATOR, ACTOR = Member(Role.EVALUATOR, 0), Member(Role.ACTOR, 0)
_PROFILE = """
[search]
num_simulations = 4
[network]
hidden_size = 8
value_support_size = 10
reward_support_size = 3
[actor]
trajectory_length = 5
[replay]
min_size_to_sample = 20
max_insert_lead = 100
samples_per_insert = 4.0
[learner]
batch_size = 4
[inference]
batch_timeout_us = 0
[evaluator]
episodes = 3
[topology]
lanes_per_actor = 2
trees_per_lane = 3
trajectory_ring_slots = 4
[stop]
learner_steps = 10
"""


def tiny_profile(*overrides: str) -> Profile:
    """CartPole with as little of everything as will run."""
    return parse_profile(_PROFILE, overrides)


def random_model(profile: Profile, plane: DataPlane, seed: int) -> Model:
    """A model whose heads are not at their zero start."""
    torch.manual_seed(seed)
    sizes = (plane.shape.observation_shape, plane.shape.num_actions)
    model = Model(profile.network, *sizes, action_size=plane.shape.action_size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def model_sizes(model: Model) -> ModelSizes:
    """The sizes of a model that a plane must know."""
    flat = FlatWeights(model)
    return ModelSizes(4 * flat.size, state=flat.fields)


def planned(profile: Profile) -> Plan:
    """The plan of the profile's run, with the true sizes of its model."""
    game = describe_game(profile.game)
    model = Model(profile.network, game.observation_shape, game.num_actions, action_size=game.action_size)
    return make_plan(profile, game, Devices.assumed(profile), model_sizes(model))


def make_plane(directory: Path, profile: Profile) -> DataPlane:
    """Every segment of the profile's run, in `directory`."""
    return DataPlane.create(directory, planned(profile).shape)


def publish(plane: DataPlane, model: Model) -> int:
    """Publishes a model's weights; returns the version."""
    return WeightsPublisher(plane.weights()).publish(FlatWeights(model).read(), learner_steps=0, env_steps=0)


def make_context(
    profile: Profile,
    plane: DataPlane,
    role: Role,
    index: int = 0,
    *,
    epoch: int = 0,
    directory: Path | None = None,
    port: LocalPort | None = None,
    device: str = "cpu",
) -> RoleContext:
    """The context of a process of the run; it stores files in `directory`, by default the plane's."""
    home = directory or plane.directory
    storage = Storage(home / "checkpoints", home / "journal", home)
    return RoleContext(profile, plane, Member(role, index), storage, device, port or LocalPort(), epoch)


def started_server(profile: Profile, plane: DataPlane, device: str = "cpu") -> InferenceServer:
    """An inference server."""
    server = InferenceServer(make_context(profile, plane, Role.INFERENCE, device=device))
    server.on_start()
    return server


def observations(count: int, seed: int = 0) -> np.ndarray:
    """CartPole-like observations."""
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
