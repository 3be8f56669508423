"""The networks that the case `learner` trains, and the shared memory of a run that trains them."""

import mmap
from typing import Any, NamedTuple

from mzpipe.config import (
    ActorConfig,
    EvaluatorConfig,
    LearnerConfig,
    NetworkConfig,
    Profile,
    ReplayConfig,
    StopConfig,
    TopologyConfig,
)
from mzpipe.games import GameSpec
from mzpipe.ipc.columns import RecordLayout
from mzpipe.ipc.schema import BatchSlot
from mzpipe.ipc.shape import PlaneShape
from mzpipe.launch.plan import ModelSizes, make_plan
from mzpipe.launch.roles import Devices
from mzpipe.nets import FlatWeights, Model

# More steps than any measurement has: for the required stop condition, and for intervals that must not occur.
_NEVER = 10**9


class Work(NamedTuple):
    """A network and the game that feeds it."""

    name: str
    network: NetworkConfig
    frame_shape: tuple[int, ...]
    frame_dtype: str
    frame_stack: int
    num_actions: int


# profiles/cartpole.toml's network and game.
MLP = Work(
    name="mlp",
    network=NetworkConfig(hidden_size=64, value_support_size=20, reward_support_size=3),
    frame_shape=(4,),
    frame_dtype="float32",
    frame_stack=1,
    num_actions=2,
)
# EfficientZero's size, on its images.
RESIDUAL = Work(
    name="residual",
    network=NetworkConfig(kind="residual", num_channels=64, num_blocks=1),
    frame_shape=(1, 96, 96),
    frame_dtype="uint8",
    frame_stack=4,
    num_actions=18,
)
# profiles/atari100k.toml's batches.
ATARI100K = Work(
    name="atari100k",
    network=NetworkConfig(kind="residual", num_channels=64, num_blocks=1, consistency=True),
    frame_shape=(3, 96, 96),
    frame_dtype="uint8",
    frame_stack=4,
    num_actions=18,
)


def make_profile(work: Work, rank_size: int, num_ranks: int, **learner: Any) -> Profile:
    """A run with `rank_size` unrolls for every rank that never publishes, saves or diagnoses after its start.

    `learner` holds further fields of [learner].
    """
    batch_size = rank_size * num_ranks
    return Profile(
        network=work.network,
        actor=ActorConfig(trajectory_length=1),
        replay=ReplayConfig(max_insert_lead=_NEVER),
        learner=LearnerConfig(
            devices=("cpu",) * num_ranks,
            batch_size=batch_size,
            publish_interval=_NEVER,
            checkpoint_interval=_NEVER,
            diagnostics_interval=_NEVER,
            **learner,
        ),
        evaluator=EvaluatorConfig(episodes=1),
        topology=TopologyConfig(lanes_per_actor=1, trees_per_lane=1, trajectory_ring_slots=1),
        stop=StopConfig(learner_steps=_NEVER),
    )


def make_shape(work: Work, profile: Profile) -> PlaneShape:
    """The shared memory of that run."""
    game = GameSpec(
        name=work.name,
        description="noise",
        frame_shape=work.frame_shape,
        frame_dtype=work.frame_dtype,
        frame_stack=work.frame_stack,
        num_actions=work.num_actions,
        num_players=1,
    )
    model = Model(work.network, game.observation_shape, work.num_actions)
    sizes = ModelSizes(weights=4 * FlatWeights(model).size)
    return make_plan(profile, game, Devices.assumed(profile), sizes).shape


def private_slot(shape: PlaneShape) -> BatchSlot:
    """A slot of rank 0's batch ring, outside any ring."""
    layout = RecordLayout.of(BatchSlot, shape.sizes())
    return layout.record(mmap.mmap(-1, layout.nbytes))
