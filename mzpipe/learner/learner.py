"""The learner: trains on batches, publishes weights, saves checkpoints.

Reads   batch_ring[r]
Writes  weights, priority_ring[r], checkpoints
Owns    the model and its optimiser
"""

from pathlib import Path

import numpy as np
import torch

from ..config import Profile
from ..errors import MzpipeError
from ..ipc.control import ControlPort
from ..ipc.dataplane import DataPlane, Member
from ..ipc.messages import CheckpointSaved, Message, Note, SaveCheckpoint
from ..ipc.ring import RingReader, RingWriter
from ..nets import FlatWeights, Model, numpy_state, restore_model
from ..planning import derive_seed
from ..weights import LATEST, Checkpoint, CheckpointStore, WeightsPublisher
from .batches import load_batch
from .loss import Losses
from .optimizer_state import optimizer_arrays, restore_optimizer
from .step import TrainingStep

KEPT_CHECKPOINTS = 3


class Learner:
    """Agent of role `learner`."""

    role = "learner"

    def __init__(
        self, profile: Profile, plane: DataPlane, device: str, checkpoints: Path, control: ControlPort
    ) -> None:
        self._profile, self._plane, self._device = profile, plane, torch.device(device)
        self._store, self._control = CheckpointStore(checkpoints), control
        self._counters = plane.counters(Member(self.role, 0))
        self._bells = [plane.doorbell(member) for member in plane.shape.members() if member.role == "inference"]
        self._replay_bell = plane.doorbell(Member("replay", 0))

    def on_start(self) -> None:
        """Builds the model, or restores it from the latest checkpoint, and publishes its weights."""
        torch.manual_seed(derive_seed(self._profile.seed, "model"))
        shape = self._plane.shape
        self._model = Model(self._profile.network, shape.observation_shape, shape.num_actions).to(self._device)
        self._step = TrainingStep(self._model, self._profile.learner)
        self._flat = FlatWeights(self._model)
        self._publisher = WeightsPublisher(self._plane.weights())
        self._reader = RingReader(self._plane.batch_ring(0))
        self._priorities = RingWriter(self._plane.priority_ring(0))
        if self._store.has(LATEST):
            self._restore()
        self._publish()
        if self._publisher.version == 0:
            raise MzpipeError("the initial weights are not finite: nothing was published")

    def do_work(self) -> int:
        """Trains on one batch if there is one, up to stop.learner_steps; publishes and saves at their intervals."""
        limit = self._profile.stop.learner_steps
        if limit is not None and self._step.learner_steps >= limit:
            return 0
        slot = self._reader.peek()
        if slot is None:
            return 0
        priorities = self._priorities.claim()
        if priorities is None:
            self._counters.add("wait_out")
            return 0
        result = self._step(load_batch(slot, self._device))
        if not result.skipped:
            self._send_priorities(priorities, slot, result.losses)
        self._reader.release()
        self._replay_bell.ring()
        if result.skipped:
            self._counters.add("skipped_steps")
            return 1
        self._count(result.losses)
        config, steps = self._profile.learner, self._step.learner_steps
        if steps % config.publish_interval == 0:
            self._publish()
        if steps % config.checkpoint_interval == 0:
            self._save(request_id=0)
        return 1

    def on_message(self, message: Message) -> None:
        """Saves a checkpoint when asked to."""
        if isinstance(message, SaveCheckpoint):
            self._save(message.request_id)

    def on_close(self) -> None:
        """Nothing outlives the process; the supervisor asks for the last checkpoint before it stops us."""

    def _send_priorities(self, priorities: dict[str, np.ndarray], slot: dict[str, np.ndarray], losses: Losses) -> None:
        for name in ("slot", "generation"):
            priorities[name][:] = slot[name]
        priorities["priority"][:] = losses.value_error_B.cpu().numpy()
        self._priorities.commit()

    def _count(self, losses: Losses) -> None:
        counters = self._counters
        counters.set("learner_steps", self._step.learner_steps)
        counters.add("clipped_targets", int(losses.clipped))
        for name in ("total", "policy", "value", "reward"):
            counters.add_fraction(f"loss_{name}_millionths", getattr(losses, name).item())
        counters.add_fraction("value_error_millionths", losses.value_error_B.mean().item())
        counters.add("loss_steps")

    def _publish(self) -> None:
        steps, env_steps = self._step.learner_steps, self._plane.total("actor", "env_steps")
        version = self._publisher.publish(self._flat.read(), learner_steps=steps, env_steps=env_steps)
        if version == 0:
            self._control.send(Note(f"learner step {steps}: weights are not finite, not published"))
            return
        self._counters.set("weights_version", version)
        for bell in self._bells:
            bell.ring()

    def _save(self, request_id: int) -> None:
        steps = self._step.learner_steps
        state = {
            "learner_steps": steps,
            "env_steps": self._plane.total("actor", "env_steps"),
            "weights_version": self._publisher.version,
            "game": self._profile.game.name,
        }
        checkpoint = Checkpoint(numpy_state(self._model), optimizer_arrays(self._step.optimizer), state)
        self._store.save(f"step_{steps:08d}", checkpoint, pointer=LATEST)
        self._store.prune(keep=KEPT_CHECKPOINTS)
        self._control.send(CheckpointSaved(request_id, steps))

    def _restore(self) -> None:
        checkpoint = self._store.load(LATEST)
        restore_model(self._model, checkpoint)
        restore_optimizer(self._step.optimizer, checkpoint.optimizer)
        self._step.learner_steps = int(checkpoint.state["learner_steps"])
        self._publisher.version = max(self._publisher.version, int(checkpoint.state["weights_version"]))
        self._counters.set("learner_steps", self._step.learner_steps)
