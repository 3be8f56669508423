"""Agents on a device of one's choice, and the other ends of their rings and lanes."""

from pathlib import Path

import numpy as np

from mzpipe.config import Profile, load_profile
from mzpipe.ipc.columns import named
from mzpipe.ipc.lane import RequestKind
from mzpipe.ipc.ring import RingReader, RingWriter
from mzpipe.ipc.roles import Role
from mzpipe.learner.learner import Learner
from mzpipe.nets import FlatWeights
from tests.tiny import ACTOR, make_context, make_plane, publish, random_model, started_server, tiny_profile

_ATARI = Path(__file__).parents[2] / "profiles/atari100k.toml"
_FEW = (
    *("learner.batch_size=3", "reanalyze.fraction=0", "evaluator.episodes=1"),
    *("topology.actors=1", "topology.lanes_per_actor=2", "topology.trees_per_lane=3"),
)
_SMALL = (
    *("game.atari.image_size=32", "network.num_channels=4", "network.head_channels=2", "network.head_hidden_size=4"),
    *("network.value_support_size=5", "network.reward_support_size=5", "network.lstm_size=8"),
    *("network.consistency_projection_size=8", "network.consistency_hidden_size=4"),
)
_PLAIN = ("network.value_prefix=false", "network.consistency=false")
_BOTH = ("network.value_prefix=true", "network.consistency=true")


def efficientzero(*overrides: str) -> Profile:
    """EfficientZero's network and losses, with few rows."""
    return load_profile(_ATARI, (*_FEW, *overrides))


def profiles(*overrides: str) -> dict[str, Profile]:
    """Small profiles with every kind of network."""
    return {
        "mlp": tiny_profile(*overrides),
        "mlp with value prefix and consistency": tiny_profile(*_BOTH, *overrides),
        "residual": efficientzero(*_SMALL, *_PLAIN, *overrides),
        "residual with value prefix and consistency": efficientzero(*_SMALL, *overrides),
    }


class AskedServer:
    """An inference server with random weights, and a client that searches three trees."""

    def __init__(self, directory: Path, profile: Profile, device: str) -> None:
        self.plane = make_plane(directory, profile)
        publish(self.plane, random_model(profile, self.plane, 0))
        self._server = started_server(profile, self.plane, device)
        self._server.do_work()  # loads the weights
        self._lane, _ = self.plane.lane_clients(ACTOR)
        self._lane.prepare(last_node=profile.search.num_simulations)

    def roots(self, observation: np.ndarray) -> dict[str, np.ndarray]:
        """Answers to three observations."""
        self._lane.observation[:3] = observation
        return self._answer(RequestKind.ROOT, 0)

    def children(self, node: int, parents: np.ndarray, actions: np.ndarray) -> dict[str, np.ndarray]:
        """Answers to three actions."""
        self._lane.parent_index[:3], self._lane.action[:3] = parents, actions
        return self._answer(RequestKind.RECURRENT, node)

    def _answer(self, kind: RequestKind, node: int) -> dict[str, np.ndarray]:
        self._lane.request(kind, node_index=node, num_rows=3)
        for _ in range(5):
            if not self._lane.ready():
                self._server.do_work()
        assert self._lane.ready()
        return {name: getattr(self._lane, name)[:3].copy() for name in ("reward", "value", "policy_logits")}


class FedLearner:
    """A learner, the producer of its batches and the reader of its priorities."""

    def __init__(self, directory: Path, profile: Profile, device: str) -> None:
        plane = make_plane(directory, profile)
        self._writer, self._priorities = RingWriter(plane.batch_ring(0)), RingReader(plane.priority_ring(0))
        self._random, self._num_actions = np.random.default_rng(0), plane.shape.num_actions
        self.learner = Learner(make_context(profile, plane, Role.LEARNER, device=device))
        self.learner.on_start()
        self.plane = plane

    def give(self, *, bad: bool = False) -> None:
        """Commits a random batch, whose loss is not finite if it is bad."""
        slot = self._writer.claim()
        for name, array in named(slot).items():
            array[...] = 1 if "mask" in name or name == "weight_B" else 0
        frames = slot.unrolls.frame_BF
        frames[...] = self._random.integers(0, 2 if frames.dtype == np.float32 else 256, frames.shape)
        slot.unrolls.action_BK[...] = self._random.integers(0, self._num_actions, slot.unrolls.action_BK.shape)
        slot.unrolls.value_target_BK1[...] = self._random.uniform(-3, 3, slot.unrolls.value_target_BK1.shape)
        slot.unrolls.policy_target_BK1A[...] = 1 / self._num_actions
        if bad:
            slot.unrolls.value_target_BK1[0, 0] = np.nan
        self._writer.commit()

    def train(self, steps: int, *, bad: bool = False) -> list[np.ndarray]:
        """Trains on random batches; returns the priorities that came back."""
        found = []
        for _ in range(steps):
            self.give(bad=bad)
            self.learner.do_work()
            if (answer := self._priorities.peek()) is not None:
                found.append(answer.priority_B.copy())
                self._priorities.release()
        return found

    def weights(self) -> np.ndarray:
        """The trained weights."""
        return FlatWeights(self.learner._model).read()
