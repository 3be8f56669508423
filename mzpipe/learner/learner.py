"""The learner: trains on batches, publishes weights, saves checkpoints.

Reads   batch_ring[r]
Writes  weights, priority_ring[r], diagnostics, checkpoints
Owns    the model and its optimiser

Every rank r trains; rank 0 alone publishes, saves and reports.
"""

from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import NamedTuple

import numpy as np
import torch

from ..config import score_protocol
from ..errors import CheckpointError, MzpipeError, NotFiniteError
from ..games import describe_game
from ..ipc.calls import LongCall
from ..ipc.messages import CheckpointSaved, Message, Note, NotSaved, SaveCheckpoint
from ..ipc.roles import Role
from ..ipc.schema import BatchSlot
from ..ipc.shape import Member
from ..ipc.stages import Stage
from ..ipc.trace import Mark
from ..ipc.weights import WeightsPublisher
from ..nets import FlatWeights, Model, place_model, use_device
from ..planning import derive_seed, signed_search
from ..runs.attempts import Attempts
from ..runs.checkpoint import LATEST, CheckpointStore, step_name
from ..runs.initial import discard_initial, read_initial
from ..runs.resume import find_resume_point
from ..runtime.agent import Agent
from ..runtime.context import RoleContext
from .answers import Answers
from .average import AverageWeights
from .batches import BatchFeed
from .chance import ChanceWatch
from .diagnostics import diagnose, gradient_norms
from .faults import FaultWatch
from .launches import Launches
from .loss import LOSSES, Batch, Losses
from .numbers import StepResult
from .ranks import OneRank, Ranks, backend_of
from .saving import begin_with, make_checkpoint, restore_checkpoint
from .statistics import PlayedStatistics
from .step import TrainingStep

# Who is told of new weights.
_TAKE_WEIGHTS = (Role.INFERENCE, Role.GATEWAY)
# A gap between the played and the trained network from which searches see other values than the loss.
_LARGE_GAP = 0.5
# The run ends after this long without a checkpoint, although one was due: an hour is enough for a person to make room,
# and it bounds what a crash could take.
_PATIENCE_S = 3600.0


class _Begun(NamedTuple):
    """The batch of a step whose result is not known."""

    slot: BatchSlot
    batch: Batch


class Learner(Agent):
    """Agent of role `learner`, one rank of it.

    On a GPU the result of a step is read when the next one has begun, or when there is none to begin: the host never
    waits for a device that has nothing to do. Where the state after a step matters (to publish, save or measure it, to
    stop there, or to roll it back) its result is read before the next step begins.
    """

    role = Role.LEARNER

    def __init__(self, context: RoleContext) -> None:
        super().__init__(context)
        plane, storage = self._plane, context.storage
        self._device = torch.device(context.device)
        self._store, self._faults = CheckpointStore(storage.checkpoints), FaultWatch(storage.logs)
        self._first = plane.counters(Member(self.role, 0))
        members = plane.shape.members()
        self._bells = [plane.doorbell(member) for member in members if member.role in _TAKE_WEIGHTS]
        self._rank_bells = [plane.doorbell(member) for member in members if member.role == self.role and member.index]
        self._replay_bell = plane.doorbell(Member(Role.REPLAY, 0))
        self._saves = Attempts("checkpoints", self._note, lost="the last one stays", patience_s=_PATIENCE_S)
        self._ranks: Ranks | OneRank | None = None
        self._resources = ExitStack()
        self._is_beginning = self._gap_is_told = self._has_trained = False
        # A batch that shows whether training can go on from the state that is to be saved.
        self._trial: Batch | None = None
        # Steps that may run while the host goes on.
        self._max_behind = 1 if self._device.type == "cuda" else 0
        self._begun: deque[_Begun] = deque()
        codes = self._profile.network.chance_codes
        self._chance = ChanceWatch(codes) if codes else None
        self._launches = Launches(self._device, self._counters)

    def on_start(self) -> None:
        """Builds the model and saves it, or restores the latest checkpoint; rank 0 publishes its weights."""
        use_device(self._device, self._profile.learner.precision)
        torch.manual_seed(derive_seed(self._profile.seed, "model"))
        shape, config = self._plane.shape, self._profile.learner
        sizes = (shape.observation_shape, shape.num_actions)
        model = Model(self._profile.network, *sizes, action_size=shape.action_size, training_heads=True)
        if self._profile.search.model == "rules":
            model.dynamics.requires_grad_(False)  # ranks would wait for a gradient that no loss gives it
        self._model = place_model(model, self._device)
        self._average = AverageWeights(self._model, config.average_decay) if config.average_decay else None
        self._played = self._average.model if self._average else self._model
        self._statistics = PlayedStatistics(self._played)
        self._flat = FlatWeights(self._played)
        self._publisher = WeightsPublisher(self._plane.weights())
        feed = BatchFeed(self._plane.batch_ring(self._index), self._device, self._note)
        self._feed = self._resources.enter_context(closing(feed))
        self._answers = Answers(self._plane.priority_ring(self._index), sending=self._mark_sent)
        if self._index == 0:
            self._first.set("step_ticket", 0)  # the other ranks read it only after joining, so it is set before
        self._ranks = self._join_ranks()
        self._step = TrainingStep(
            self._model,
            config,
            ranks=self._ranks,
            average=self._average,
            symmetries=describe_game(self._profile.game).symmetries if config.symmetries else (),
            note=self._note,
            ended=self._clock.end,
            discount=self._discount(),
        )
        if self._index > 0:  # else every rank would draw the first one's symmetries, shifts and steps
            torch.manual_seed(derive_seed(self._profile.seed, "rank", self._index))
        # Read first: rank 0 discards them once the checkpoint that it makes of them is saved.
        initial = read_initial(self._plane.directory)
        if not self._restore():
            self._begin(initial)
        self._first_batch = self._ranks.latest(self._feed.sequence)
        if self._index == 0:
            self._counters.set("learner_steps", self._step.learner_steps)
            self._publish()
            if self._publisher.version == 0:
                raise MzpipeError("the initial weights are not finite: nothing was published")

    def _discount(self) -> float:
        """The discount with the game's sign; only the loss of a model with chance asks for it."""
        if not self._profile.network.chance_codes:
            return 1.0
        return signed_search(self._profile.search, describe_game(self._profile.game).num_players).discount

    def do_work(self) -> int:
        """Trains on one batch if there is one, up to stop.learner_steps; publishes and saves at their intervals."""
        if self._saves.is_due and self._step.is_sound:
            self._finish_all()
            self._save(request_id=0)
        peeked = self._feed.peek() if self._may_begin() else None
        if peeked is None:
            return self._finish_done()
        if self._feed.sequence < self._first_batch:  # before a restart another rank trained on its part
            return self._release()
        if not self._answers.has_room():
            self._counters.add("wait_out")
            self._clock.blocked()
            return 0
        self._clock.end(Stage.BATCH_COPY)
        self._call_ranks()
        if self._has_trained:
            return self._train(*peeked)
        with self._in_long_call(LongCall.FIRST_STEP):
            self._has_trained = True
            return self._train(*peeked)

    def on_message(self, message: Message) -> None:
        """Saves a checkpoint when the supervisor asks for one."""
        if isinstance(message, SaveCheckpoint) and self._index == 0:
            self._finish_all()
            self._save(message.request_id)

    def on_close(self) -> None:
        """Takes part in the step that rank 0 has begun, if any; then leaves the group, and releases the ring.

        One of several ranks that fails inside a step only ends: leaving, and waiting for its device, would wait for
        peers that wait for it in the same step.
        """
        if self._is_beginning and self._plane.shape.learner_ranks > 1:
            return
        if self._ranks is not None:
            self._leave(self._ranks)
        self._resources.close()

    def _leave(self, ranks: Ranks | OneRank) -> None:
        if self._index and self._first.get("step_ticket") > self._feed.sequence:
            peeked = self._feed.peek()
            if peeked is not None:
                self._step(peeked[1])
        self._step = None  # type: ignore[assignment]
        ranks.close()

    def _join_ranks(self) -> Ranks | OneRank:
        size = self._plane.shape.learner_ranks
        if size == 1:
            return OneRank()
        backend = backend_of(self._profile.learner.devices)
        place = {"index": self._index, "size": size, "epoch": self._epoch}
        return Ranks(self._plane.directory, **place, device=self._device, backend=backend)

    def _call_ranks(self) -> None:
        """On rank 0, tells the other ranks to train on the oldest batch now; they already have their parts of it."""
        if self._index == 0 and self._rank_bells:
            self._first.set("step_ticket", self._feed.sequence + 1)
            for bell in self._rank_bells:
                bell.ring()

    def _may_begin(self) -> bool:
        """Whether rank 0 has steps left to train, or has called this rank to the next one."""
        if self._index:
            return self._first.get("step_ticket") > self._feed.sequence
        limit = self._profile.stop.learner_steps
        return limit is None or self._steps_begun() < limit

    def _steps_begun(self) -> int:
        """How many steps will have been taken if none of those that run is skipped."""
        return self._step.learner_steps + len(self._begun)

    def _train(self, slot: BatchSlot, batch: Batch) -> int:
        self._is_beginning = True
        self._clock.mark(Mark.BATCH_TAKEN, self._index, self._feed.sequence)
        with self._launches.step():
            self._step.begin(batch)
        self._is_beginning = False
        self._feed.take()
        self._begun.append(_Begun(slot, batch))
        while self._begun and (len(self._begun) > self._max_behind or self._is_state_wanted()):
            self._finish()
        return 1

    def _is_state_wanted(self) -> bool:
        """Whether the state after the steps that have begun is wanted, so that no other step may change it before.

        All ranks roll back after the same step, whenever they read its result: none may have begun another one.
        """
        if self._faults.is_next_last:
            return True
        steps, config = self._steps_begun(), self._profile.learner
        intervals = (config.diagnostics_interval, config.publish_interval, config.checkpoint_interval)
        at_interval = any(steps % interval == 0 for interval in intervals)
        return self._index == 0 and (at_interval or steps == self._profile.stop.learner_steps)

    def _finish_done(self) -> int:
        """Takes the result of a step that has ended while there was no other to begin."""
        self._answers.send_kept()
        if not self._begun or not self._step.is_done():
            return 0
        self._finish()
        return 1

    def _finish_all(self) -> None:
        while self._begun:
            self._finish()

    def _finish(self) -> None:
        """Takes the result of the oldest step that has begun; on a GPU it may have to wait for it."""
        slot, batch = self._begun.popleft()
        result = self._step.finish()
        self._launches.count()
        if result.skipped:
            self._take_fault(slot)
        else:
            self._faults.good()
            self._answers.send(slot.keys, result.losses.value_error_B.numpy())
            if self._index == 0:
                self._statistics.keep(batch)
                self._after_step(batch, result)
        self._release(is_copied=True)  # whoever knows the result of a step knows that the device has its batch

    def _release(self, *, is_copied: bool = False) -> int:
        self._feed.release(is_copied=is_copied)
        self._replay_bell.ring()
        return 1

    def _after_step(self, batch: Batch, result: StepResult) -> None:
        """Counts and measures a step, publishes and saves; only rank 0 calls it."""
        config, steps = self._profile.learner, self._step.learner_steps
        self._count(result.losses)
        if self._trial is None or steps % config.checkpoint_interval == 0:
            self._trial = _host_copy(batch)
        if steps % config.diagnostics_interval == 0:
            self._measure(batch)
        if steps % config.publish_interval == 0:
            self._publish()
        if steps % config.checkpoint_interval == 0:
            self._save(request_id=0)

    def _take_fault(self, slot: BatchSlot) -> None:
        """Counts a skipped step, keeps the first one's batch, and rolls back after three in a row."""
        self._counters.add("skipped_steps")
        told = self._faults.batch
        roll_back = self._faults.bad(slot, self._step.learner_steps)
        if self._faults.batch != told:
            self._note(f"a training step is not finite: it is skipped, its batch {self._faults.batch}")
        if not roll_back:
            return
        with self._in_long_call(LongCall.LOAD):
            is_restored = self._restore()
        if not is_restored:
            raise MzpipeError(
                "three training steps in a row were not finite, and there is no checkpoint to go back to: lower "
                f"learner.learning_rate, or look at the batch, which {self._faults.batch}"
            )
        if self._index == 0:
            self._counters.set("learner_steps", self._step.learner_steps)
        self._note(f"three steps in a row were not finite: back to learner step {self._step.learner_steps:,}")
        self._faults.rolled_back(self._step.learner_steps)

    def _mark_sent(self, sequence: int) -> None:
        self._clock.mark(Mark.PRIORITIES_SENT, self._index, sequence)

    def _count(self, losses: Losses) -> None:
        counters = self._counters
        counters.set("learner_steps", self._step.learner_steps)
        counters.add("clipped_targets", int(losses.clipped))
        for name in LOSSES:
            counters.add(f"loss_{name}", float(getattr(losses, name)))
        counters.add("value_error", float(losses.value_error_B.mean()))
        counters.add("loss_steps")

    def _measure(self, batch: Batch) -> None:
        gauges = self._plane.diagnostics()
        self._statistics.measure()
        measured = diagnose(self._played, batch)
        for name, value in measured.items():
            gauges[name][:] = value
        self._tell_gap(float(measured["played_gap"]))
        if self._chance is not None:
            line = self._chance.line(float(measured["codes_expected"]), self._step.learner_steps)
            if line is not None:
                self._note(line)
        gauges["gradient_norm"][:] = gradient_norms(self._model)
        gauges["learner_steps"][0] = self._step.learner_steps

    def _tell_gap(self, gap: float) -> None:
        """Notes that the gap is large, once until it is small again."""
        if gap > _LARGE_GAP and not self._gap_is_told:
            self._note(
                f"learner step {self._step.learner_steps:,}: the network that plays and the trained one differ by "
                f"{gap:.1f} spreads of their value targets: batch normalisation may need more than "
                f"learner.batch_size={self._profile.learner.batch_size}, or, in a game of few moves, a new run with "
                "network.dynamics_norm='layer'"
            )
        self._gap_is_told = gap > _LARGE_GAP

    def _publish(self) -> None:
        self._clock.skip()
        steps, env_steps = self._step.learner_steps, self._plane.total("env_steps")
        self._statistics.measure()
        try:
            version = self._publisher.publish(self._flat.read(), learner_steps=steps, env_steps=env_steps)
        except NotFiniteError as error:
            self._note(f"learner step {steps:,}: {error}, not published")
            return
        self._counters.set("weights_version", version)
        for bell in self._bells:
            bell.ring()
        self._clock.end(Stage.PUBLISH)

    def _save(self, request_id: int) -> None:
        """Saves, or tries again later; raises CheckpointError for one that the supervisor asks for: it is the last."""
        config = self._profile.learner
        try:
            with self._in_long_call(LongCall.SAVE):
                if request_id:
                    self._write_checkpoint()
                elif not self._saves.make(self._write_checkpoint):
                    return
                self._store.prune(keep=config.keep_checkpoints, keep_every=config.keep_every)
        except NotFiniteError as error:
            self._distrust(error)
            if request_id:
                self._control.send(NotSaved(request_id, int(error.exit_code), str(error)))
            return
        self._control.send(CheckpointSaved(request_id, self._step.learner_steps))

    def _write_checkpoint(self) -> None:
        state = {
            "env_steps": self._plane.total("env_steps"),
            "weights_version": self._publisher.version,
            "game": self._profile.game.name,
            "protocol": score_protocol(self._profile.game),
        }
        self._statistics.measure()
        if self._trial is not None and not self._step.would_take(_placed(self._trial, self._device)):
            raise NotFiniteError("the loss or the gradient of the next step is not finite")
        checkpoint = make_checkpoint(self._model, self._average, self._step, state)
        self._store.save(step_name(self._step.learner_steps), checkpoint, pointer=LATEST)

    def _distrust(self, error: NotFiniteError) -> None:
        """Skips steps until the state is restored: it is not finite and stays so, whatever the next losses are."""
        self._step.is_sound = False
        self._note(
            f"learner step {self._step.learner_steps:,}: no checkpoint is saved: {error}: "
            "lower learner.learning_rate if this comes again"
        )

    def _begin(self, initial: Mapping[str, np.ndarray]) -> None:
        """Saves the new model before any game is played, so a run without a checkpoint must have lost it."""
        steps = self._first.get("learner_steps")
        if steps:
            raise CheckpointError(
                f"{self._store.directory}: no checkpoint is left of the run's {steps:,} learner steps"
            )
        begin_with(initial, self._model, self._average, self._step)
        if self._index == 0:
            self._write_checkpoint()
            discard_initial(self._plane.directory)

    def _restore(self) -> bool:
        """Restores the checkpoint that a resume would take; returns False if there is none."""
        point = find_resume_point(self._store)
        if point is None:
            return False
        if point.fault and self._index == 0:
            self._note(point.line)
        restore_checkpoint(point.checkpoint, self._model, self._average, self._step)
        self._publisher.version = max(self._publisher.version, point.checkpoint.state["weights_version"])
        return True

    def _note(self, line: str) -> None:
        self._control.send(Note(line))


def _host_copy(batch: Batch) -> Batch:
    return Batch._make(None if tensor is None else tensor.cpu().clone() for tensor in batch)


def _placed(batch: Batch, device: torch.device) -> Batch:
    return Batch._make(None if tensor is None else tensor.to(device) for tensor in batch)
