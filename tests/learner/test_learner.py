"""The learner agent between hand-made rings: what it trains on, sends, publishes and saves, and its bad batches."""

import copy
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mzpipe.errors import CheckpointError, InputOutputError, MzpipeError
from mzpipe.ipc.calls import LongCall
from mzpipe.ipc.columns import named
from mzpipe.ipc.control import LocalPort
from mzpipe.ipc.messages import CheckpointSaved, Note, NotSaved, SaveCheckpoint
from mzpipe.ipc.ring import RingReader, RingWriter
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.ipc.weights import WeightsSubscriber
from mzpipe.learner import batches
from mzpipe.learner import learner as module
from mzpipe.learner.learner import Learner
from mzpipe.learner.ranks import OneRank
from mzpipe.learner.symmetries import Symmetries
from mzpipe.nets import FlatWeights, restore_model
from mzpipe.runs import attempts
from mzpipe.runs.checkpoint import LATEST, CheckpointStore
from mzpipe.runtime.attended import AttendedClock
from tests.launch.fakes import Clock
from tests.learner.test_statistics import assert_statistics, naive_statistics
from tests.tiny import make_context, make_plane, tiny_profile

LEARNER = Member("learner", 0)


class Bench:
    """A learner whose replay server is played by hand."""

    def __init__(self, directory, *overrides, index=0):
        self.directory, self.index = directory, index
        self.profile = tiny_profile("stop.learner_steps=1000", *overrides)
        runtime = directory / "runtime"
        runtime.mkdir(exist_ok=True)
        self.plane = make_plane(runtime, self.profile)
        self.writer = RingWriter(self.plane.batch_ring(index))
        self.priorities = RingReader(self.plane.priority_ring(index))
        self.subscriber = WeightsSubscriber(self.plane.weights())
        self.rng = np.random.default_rng(0)
        self.number = 0
        self.start()

    def start(self):
        self.port = LocalPort()
        where = {"directory": self.directory, "port": self.port}
        context = make_context(self.profile, self.plane, Role.LEARNER, self.index, **where)
        self.learner = Learner(context)
        self.learner.on_start()
        self.store = CheckpointStore(context.storage.checkpoints)

    def give(self, *, bad=False):
        """Commits one batch; a bad one has an observation that is NaN."""
        slot = self.writer.claim()
        for name, array in named(slot).items():
            array[...] = 1 if "mask" in name or name == "weight" else 0
        slot.unrolls.observation[:] = self.rng.normal(size=slot.unrolls.observation.shape)
        slot.unrolls.action_BK[:] = self.rng.integers(2, size=slot.unrolls.action_BK.shape)
        slot.unrolls.value_target_BK1[:] = self.rng.uniform(0, 20, slot.unrolls.value_target_BK1.shape)
        slot.unrolls.reward_target_BK[:] = 1.0
        slot.unrolls.policy_target_BK1A[..., :2] = (0.25, 0.75)
        slot.keys.slot_B[:], slot.keys.generation_B[:] = self.number + np.arange(len(slot.keys.slot_B)), 3
        if bad:
            slot.unrolls.observation[0] = np.nan
        self.number += 1
        self.writer.commit()

    def train(self, steps, *, bad=False):
        for _ in range(steps):
            self.give(bad=bad)
            self.learner.do_work()
            if self.priorities.peek() is not None:
                self.priorities.release()

    def get(self, name):
        return self.plane.counters(Member("learner", self.index)).get(name)

    def messages(self, kind):
        return [message for message in self.port.to_supervisor if isinstance(message, kind)]

    def notes(self):
        return [note.text for note in self.messages(Note)]

    def weights(self):
        return FlatWeights(self.learner._model).read()


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.mark.parametrize("is_on", [False, True])
def test_learner_turns_its_samples_by_the_games_symmetries_if_the_profile_says_so(tmp_path, monkeypatch, is_on):
    turned, turn = [], Symmetries.forward
    monkeypatch.setattr(Symmetries, "forward", lambda module, batch: turned.append(module) or turn(module, batch))
    Bench(tmp_path, "game.name=connect_four", f"learner.symmetries={str(is_on).lower()}").train(2)
    assert [tuple(module.point_SP.shape) for module in turned] == [(2, 42)] * 2 * is_on


def test_learner_answers_a_batch_with_its_keys_and_value_errors(bench):
    assert bench.learner.do_work() == 0
    bench.give()
    assert bench.learner.do_work() == 1
    answer = bench.priorities.peek()
    assert answer.keys.slot_B.tolist() == [0, 1, 2, 3]
    assert answer.keys.generation_B.tolist() == [3, 3, 3, 3]
    assert (answer.priority_B > 0).all()  # the network says 0, the targets are above
    assert bench.get("learner_steps") == 1
    assert bench.learner.do_work() == 0


def test_learner_waits_while_its_priorities_are_not_taken(bench):
    room = bench.plane.priority_ring(0).num_slots
    for _ in range(room):
        bench.give()
        bench.learner.do_work()
    bench.give()
    assert bench.learner.do_work() == 0
    assert bench.get("wait_out") == 1
    bench.priorities.peek()
    bench.priorities.release()
    assert bench.learner.do_work() == 1


def test_learner_publishes_and_saves_at_its_intervals_and_stops_at_the_limit(tmp_path):
    bench = Bench(tmp_path, "learner.publish_interval=2", "learner.checkpoint_interval=3", "stop.learner_steps=7")
    bench.train(7)
    assert bench.get("weights_version") == 4  # at the start, and after 2, 4, 6 steps
    assert [message.learner_steps for message in bench.messages(CheckpointSaved)] == [3, 6]
    bench.give()
    assert bench.learner.do_work() == 0
    bench.learner.on_message(SaveCheckpoint(request_id=5))
    assert bench.messages(CheckpointSaved)[-1] == CheckpointSaved(5, 7)
    state = bench.store.load("latest").state
    assert (state["game"], state["protocol"]) == ("CartPole-v1", "greedy")


def test_new_weights_ring_everyone_who_takes_them(tmp_path):
    bench = Bench(tmp_path, "cluster.pods=1", "learner.publish_interval=1")
    members = [Member(Role.INFERENCE, 0), Member(Role.GATEWAY, 0)]
    before = [bench.plane.doorbell(member).sequence() for member in members]
    bench.train(1)
    assert [bench.plane.doorbell(member).sequence() for member in members] == [rings + 1 for rings in before]


def test_learner_says_which_long_call_is_under_way(tmp_path, monkeypatch):
    bench = Bench(tmp_path, "learner.checkpoint_interval=2")
    calls = []

    def watch(owner, name):
        method = getattr(owner, name)
        monkeypatch.setattr(
            owner,
            name,
            lambda *words, **more: (calls.append((name, bench.get("long_call"))), method(*words, **more))[1],
        )

    watch(bench.learner._store, "save")
    watch(bench.learner, "_restore")
    watch(bench.learner._step, "begin")
    bench.train(1)
    bench.train(1)
    bench.train(3, bad=True)
    first, *others = [call for name, call in calls if name == "begin"]
    assert (first, set(others)) == (LongCall.FIRST_STEP, {LongCall.NONE})
    assert [call for call in calls if call[0] != "begin"] == [("save", LongCall.SAVE), ("_restore", LongCall.LOAD)]
    assert bench.get("long_call") == LongCall.NONE


def test_checkpoints_of_every_nth_step_are_kept_with_the_newest(tmp_path):
    bench = Bench(tmp_path, "learner.checkpoint_interval=1", "learner.keep_checkpoints=2", "learner.keep_every=4")
    bench.train(11)
    assert bench.store.names() == [f"step_{steps:08d}" for steps in (4, 8, 10, 11)]


def test_learner_saves_the_untrained_model_before_it_publishes(bench):
    state = bench.store.load(LATEST).state
    assert (bench.store.names(), state["learner_steps"], state["weights_version"]) == (["step_00000000"], 0, 0)
    assert not bench.messages(CheckpointSaved)


def test_learner_resumes_from_the_newest_whole_checkpoint_when_latest_is_damaged(tmp_path):
    bench = Bench(tmp_path, "learner.checkpoint_interval=2")
    bench.train(2)
    expected = bench.weights()
    bench.train(2)
    (bench.store.directory / "step_00000004" / "weights.safetensors").write_bytes(b"damaged")
    bench.start()
    np.testing.assert_array_equal(bench.weights(), expected)
    (note,) = bench.notes()
    assert note.endswith("(7 bytes): resuming from step_00000002, the newest whole checkpoint")
    bench.train(2)
    assert bench.store.load(LATEST).state["learner_steps"] == 4


def test_learner_does_not_begin_again_when_every_checkpoint_is_gone(bench):
    bench.train(1)
    shutil.rmtree(bench.store.directory)
    with pytest.raises(CheckpointError, match="checkpoints: no checkpoint is left of the run's 1 learner steps"):
        bench.start()


def test_learner_resumes_exactly_from_its_checkpoint(tmp_path):
    bench = Bench(tmp_path, "learner.checkpoint_interval=3")
    bench.train(3)
    weights, state = bench.weights(), bench.rng.bit_generator.state
    bench.train(2)
    expected = bench.weights()
    bench.start()
    np.testing.assert_array_equal(bench.weights(), weights)
    bench.rng.bit_generator.state = state
    bench.train(2)
    np.testing.assert_array_equal(bench.weights(), expected)
    assert bench.get("learner_steps") == 5


def test_published_weights_are_the_average_where_one_is_kept(tmp_path):
    bench = Bench(tmp_path, "learner.average_decay=0.5", "learner.publish_interval=1", "learner.checkpoint_interval=3")
    seen = [bench.weights()]
    for _ in range(3):
        bench.train(1)
        seen.append(bench.weights())
    expected = seen[0]
    for weights in seen[1:]:
        expected = 0.5 * expected + 0.5 * weights
    published = bench.subscriber.pull().weights
    np.testing.assert_allclose(published, expected, atol=1e-6)
    assert not np.allclose(published, seen[-1], atol=1e-4)
    bench.start()  # restores both
    np.testing.assert_array_equal(bench.weights(), seen[-1])
    np.testing.assert_array_equal(bench.subscriber.pull().weights, published)


def test_run_that_no_longer_averages_resumes_from_the_trained_weights(tmp_path):
    bench = Bench(tmp_path, "learner.average_decay=0.9", "learner.checkpoint_interval=2")
    bench.train(2)
    trained = bench.weights()
    bench.profile = tiny_profile("stop.learner_steps=1000")
    bench.start()
    np.testing.assert_array_equal(bench.weights(), trained)


def test_diagnostics_are_measured_at_their_interval(tmp_path):
    bench = Bench(tmp_path, "learner.diagnostics_interval=3")
    gauges = bench.plane.diagnostics()
    bench.train(2)
    assert gauges["learner_steps"][0] == 0
    bench.train(2)
    assert gauges["learner_steps"][0] == 3
    assert gauges["search_policy_entropy"][0] == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))


def test_published_and_saved_statistics_are_those_of_the_newest_weights(tmp_path):
    bench = Bench(tmp_path, "network.value_prefix=true", "learner.publish_interval=3", "learner.checkpoint_interval=5")
    batches, keep = [], bench.learner._statistics.keep
    bench.learner._statistics.keep = lambda batch: (batches.append(copy.deepcopy(batch)), keep(batch))
    model = bench.learner._model
    bench.train(6)
    flat = FlatWeights(copy.deepcopy(model))
    published = bench.subscriber.pull().weights
    flat.write(published)
    np.testing.assert_array_equal(published, bench.weights())
    expected = naive_statistics(model, batches[-4:])
    assert_statistics(model, expected)
    bench.learner.on_message(SaveCheckpoint(request_id=1))
    restore_model(model, bench.store.load(LATEST))
    assert_statistics(model, expected)
    bench.train(1)
    bench.learner.on_message(SaveCheckpoint(request_id=2))  # after a step without a publication
    assert_statistics(model, naive_statistics(model, batches[-4:]))


def test_learner_notes_a_gap_between_the_played_and_the_trained_network_once(tmp_path, monkeypatch):
    bench = Bench(tmp_path, "learner.diagnostics_interval=1")
    for gap, notes in ((0.4, 0), (0.7, 1), (0.9, 1), (0.1, 1), (0.6, 2)):
        monkeypatch.setattr(module, "diagnose", lambda model, batch, gap=gap: {"played_gap": gap})
        bench.train(1)
        assert len(bench.notes()) == notes
        assert bench.plane.diagnostics()["played_gap"][0] == gap
    assert re.search(r"step 2: the network that plays and the trained one differ by 0.7 spreads", bench.notes()[0])


def test_first_bad_batch_is_kept_and_the_step_skipped(bench):
    bench.train(2)
    before = bench.weights()
    bench.train(1, bad=True)
    np.testing.assert_array_equal(bench.weights(), before)
    assert (bench.get("learner_steps"), bench.get("skipped_steps")) == (2, 1)
    kept = bench.directory / "nonfinite-step-00000002.npz"
    assert np.isnan(np.load(kept)["frame"][0]).all()
    assert bench.notes() == [f"a training step is not finite: it is skipped, its batch is in {kept}"]
    bench.train(1)
    bench.train(1, bad=True)
    assert len(list(bench.directory.glob("nonfinite-*"))) == 1  # one file is enough
    assert bench.get("learner_steps") == 3


def test_three_bad_steps_in_a_row_go_back_to_the_checkpoint(tmp_path):
    bench = Bench(tmp_path, "learner.checkpoint_interval=2")
    bench.train(2)
    saved = bench.weights()
    bench.train(1)
    bench.train(2, bad=True)
    bench.train(1)  # a good step: the count of bad ones in a row starts again
    bench.train(2, bad=True)
    assert bench.get("learner_steps") == 4
    bench.train(1, bad=True)
    assert bench.get("learner_steps") == 4 and bench.notes()[-1].endswith("back to learner step 4")
    assert not np.array_equal(bench.weights(), saved)
    bench.train(1)
    assert bench.get("learner_steps") == 5


def test_rollback_undoes_what_was_learnt_since(tmp_path):
    bench = Bench(tmp_path, "learner.checkpoint_interval=2")
    bench.train(2)
    saved = bench.weights()
    bench.train(1)
    bench.train(3, bad=True)
    np.testing.assert_array_equal(bench.weights(), saved)
    assert bench.get("learner_steps") == 2
    with pytest.raises(MzpipeError, match=r"again after going back to learner step 2: lower learner\.learning_rate"):
        bench.train(3, bad=True)


def test_no_weights_version_comes_twice_after_a_rollback(tmp_path):
    bench = Bench(tmp_path, "learner.checkpoint_interval=2", "learner.publish_interval=1")
    bench.train(3)
    newest = bench.get("weights_version")
    bench.train(3, bad=True)
    assert bench.get("learner_steps") == 2
    bench.train(1)
    assert bench.get("weights_version") == newest + 1


class FullDisk:
    """Refuses a learner's checkpoints while it is full; the clock is the one by which it tries again."""

    def __init__(self, bench, monkeypatch):
        self.clock, self.is_full, self._save = Clock(), True, bench.learner._store.save
        monkeypatch.setattr(bench.learner._saves, "_clock", AttendedClock(clock=self.clock.monotonic))
        monkeypatch.setattr(bench.learner._store, "save", self.save)

    def save(self, *arguments, **options):
        if self.is_full:
            raise CheckpointError("cannot be saved: No space left on device")
        return self._save(*arguments, **options)


def test_learner_trains_on_while_the_disk_is_full_and_saves_soon_after_there_is_room(tmp_path, monkeypatch):
    bench = Bench(tmp_path, "learner.checkpoint_interval=2")
    disk = FullDisk(bench, monkeypatch)
    bench.train(5)
    assert bench.get("learner_steps") == 5 and bench.store.resolve(LATEST) == "step_00000000"
    assert not bench.messages(CheckpointSaved)
    disk.is_full = False
    bench.learner.do_work()
    assert bench.store.resolve(LATEST) == "step_00000000"  # it is not due yet
    disk.clock.now_s += attempts.RETRY_S
    bench.learner.do_work()
    assert bench.store.load(LATEST).state["learner_steps"] == 5
    assert bench.messages(CheckpointSaved) == [CheckpointSaved(0, 5)]
    assert bench.notes() == [
        "cannot be saved: No space left on device: checkpoints are tried again until that works; the last one stays",
        "checkpoints are written again",
    ]


def test_learner_ends_with_an_error_of_input_and_output_when_the_disk_is_full_for_an_hour(tmp_path, monkeypatch):
    bench = Bench(tmp_path, "learner.checkpoint_interval=2")
    disk = FullDisk(bench, monkeypatch)
    bench.train(2)
    disk.clock.now_s += 3590.0
    bench.train(2)
    disk.clock.now_s += attempts.RETRY_S
    with pytest.raises(InputOutputError, match=r"No space left on device: no checkpoints could be written for 60 min"):
        bench.learner.do_work()


def test_learner_ends_with_the_error_when_the_last_checkpoint_cannot_be_saved(bench, monkeypatch):
    FullDisk(bench, monkeypatch)
    bench.train(1)
    with pytest.raises(CheckpointError, match="No space left on device"):
        bench.learner.on_message(SaveCheckpoint(request_id=1))


@pytest.fixture
def late(tmp_path):
    """A bench whose learner reads the result of a step when the next one has begun, as on a GPU."""

    def make(*overrides, **options):
        bench = Bench(tmp_path, *overrides, **options)
        bench.learner._max_behind = 1
        bench.learner._step.is_done = lambda: bench.is_done
        bench.is_done = False
        return bench

    return make


def keys_sent(bench):
    """The first key of every answer that has come, in order."""
    keys = []
    while (answer := bench.priorities.peek()) is not None:
        keys.append(int(answer.keys.slot_B[0]))
        bench.priorities.release()
    return keys


def test_late_result_is_read_when_the_next_step_has_begun(late):
    bench = late()
    bench.give()
    assert bench.learner.do_work() == 1
    assert keys_sent(bench) == [] and bench.get("learner_steps") == 0
    bench.give()
    assert bench.learner.do_work() == 1
    assert keys_sent(bench) == [0] and bench.get("learner_steps") == 1


def test_late_result_of_the_last_batch_is_read_once_when_its_step_has_ended(late):
    bench = late()
    bench.give()
    bench.learner.do_work()
    assert bench.learner.do_work() == 0  # its step runs
    bench.is_done = True
    assert bench.learner.do_work() == 1
    assert bench.learner.do_work() == 0
    assert keys_sent(bench) == [0] and bench.get("learner_steps") == 1


def test_late_learner_takes_the_same_steps(tmp_path):
    weights = []
    for max_behind in (0, 1):
        directory = tmp_path / str(max_behind)
        directory.mkdir()
        bench = Bench(directory)
        bench.learner._max_behind = max_behind
        bench.train(5)
        bench.learner.on_message(SaveCheckpoint(request_id=1))
        assert bench.get("learner_steps") == 5
        weights.append(bench.weights())
    np.testing.assert_allclose(*weights, rtol=1e-5, atol=1e-7)  # the learning rate of a late step is a float32


def test_late_learner_publishes_saves_and_stops_with_the_state_after_the_step(late):
    bench = late("learner.publish_interval=2", "learner.checkpoint_interval=3", "stop.learner_steps=7")
    published = []
    for step in range(1, 8):
        bench.train(1)
        if step % 2 == 0:
            published.append(np.array_equal(bench.subscriber.pull().weights, bench.weights()))
    assert published == [True, True, True]
    assert [message.learner_steps for message in bench.messages(CheckpointSaved)] == [3, 6]
    assert bench.get("learner_steps") == 7  # without another lap
    bench.give()
    assert bench.learner.do_work() == 0


def test_late_learner_saves_again_after_the_step_that_runs(late, monkeypatch):
    bench = late("learner.checkpoint_interval=2")
    disk = FullDisk(bench, monkeypatch)
    bench.train(3)
    assert bench.get("learner_steps") == 2  # the third one runs
    disk.is_full = False
    disk.clock.now_s += attempts.RETRY_S
    bench.learner.do_work()
    restore_model(bench.learner._model, bench.store.load(LATEST))
    assert bench.store.load(LATEST).state["learner_steps"] == bench.get("learner_steps") == 3


def test_late_learner_saves_what_it_is_asked_for_after_the_step_that_runs(late):
    bench = late()
    bench.train(2)
    bench.learner.on_message(SaveCheckpoint(request_id=5))
    assert bench.messages(CheckpointSaved) == [CheckpointSaved(5, 2)]
    restore_model(bench.learner._model, bench.store.load(LATEST))
    assert bench.get("learner_steps") == 2


def test_late_answers_are_kept_in_order_while_there_is_no_room(late):
    bench = late("learner.publish_interval=1")  # every result is read at once
    room = bench.plane.priority_ring(0).num_slots
    for _ in range(room):
        bench.give()
        bench.learner.do_work()
    bench.learner._max_behind, bench.learner._is_state_wanted = 1, lambda: False
    assert bench.priorities.peek() is not None
    bench.priorities.release()
    for _ in range(2):  # the second finds room for the answer to the first alone
        bench.give()
        assert bench.learner.do_work() == 1
    bench.learner.on_message(SaveCheckpoint(request_id=1))
    assert bench.get("learner_steps") == room + 2
    bench.give()
    assert bench.learner.do_work() == 0 and bench.get("wait_out") == 1
    sent = keys_sent(bench)
    bench.learner.do_work()
    bench.is_done = True
    bench.learner.do_work()
    assert sent + keys_sent(bench) == list(range(1, room + 3))


def test_late_fault_keeps_its_own_batch(late):
    bench = late()
    bench.train(1)
    bench.train(1, bad=True)
    bench.train(1)
    (kept,) = bench.directory.glob("nonfinite-*")
    assert kept.name == "nonfinite-step-00000001.npz" and np.load(kept)["slot"][0] == 1
    assert (bench.get("learner_steps"), bench.get("skipped_steps")) == (1, 1)
    bench.train(1)
    assert bench.get("learner_steps") == 2


def test_late_learner_rolls_back_before_another_step_begins(late):
    bench = late("learner.checkpoint_interval=2")
    bench.train(2)
    saved = bench.weights()
    bench.train(1)
    bench.train(3, bad=True)
    np.testing.assert_array_equal(bench.weights(), saved)
    assert (bench.get("learner_steps"), bench.get("skipped_steps")) == (2, 3)
    bench.train(2)
    assert bench.get("learner_steps") == 4
    with pytest.raises(MzpipeError, match="again after going back to learner step 4"):
        bench.train(7, bad=True)


def test_three_bad_steps_without_a_checkpoint_end_the_learner(bench):
    shutil.rmtree(bench.store.directory)
    with pytest.raises(MzpipeError, match="there is no checkpoint to go back to"):
        bench.train(3, bad=True)


def spoil(tensors):
    """Makes the last number infinite, which the next loss and its gradient do not show."""
    list(tensors)[-1].view(-1)[-1] = float("inf")


@pytest.mark.parametrize("part", ["average", "optimizer"])
def test_what_is_not_finite_is_never_saved_and_three_steps_later_undone(tmp_path, part):
    bench = Bench(tmp_path, "learner.average_decay=0.5", "learner.checkpoint_interval=2")
    bench.train(2)
    saved, learner = bench.weights(), bench.learner
    moments = (state["exp_avg_sq"] for state in learner._step.optimizer.state.values())
    spoil(moments if part == "optimizer" else learner._average.model.parameters())
    bench.train(2)
    assert bench.store.resolve(LATEST) == "step_00000002" and bench.store.names() == ["step_00000000", "step_00000002"]
    assert bench.messages(CheckpointSaved) == [CheckpointSaved(0, 2)]
    refusal = (
        r"learner step 4: no checkpoint is saved: \S+ in \w+\.safetensors is not finite: lower learner\.learning_rate"
    )
    assert re.match(refusal, bench.notes()[-1])
    bench.learner.on_message(SaveCheckpoint(request_id=9))
    (not_saved,) = bench.messages(NotSaved)
    assert (not_saved.request_id, not_saved.exit_code) == (9, 70) and not_saved.summary.endswith("is not finite")
    bench.train(3)
    assert bench.notes()[-1] == "three steps in a row were not finite: back to learner step 2"
    np.testing.assert_array_equal(bench.weights(), saved)
    bench.train(2)
    assert bench.messages(CheckpointSaved)[-1] == CheckpointSaved(0, 4)


@pytest.mark.parametrize("by_request", [False, True])
def test_state_that_is_finite_but_overflows_is_never_saved(tmp_path, by_request):
    """Every number of such a state is finite, and every step from it is not: the run could never be resumed."""
    bench = Bench(tmp_path, f"learner.checkpoint_interval={100 if by_request else 1}")
    bench.train(1)
    bench.learner.on_message(SaveCheckpoint(request_id=1))
    saved = bench.weights()
    optimizer_step = bench.learner._step.optimizer.step

    def overflow(*arguments):
        optimizer_step(*arguments)
        with torch.no_grad():
            for parameter in bench.learner._model.parameters():
                parameter.mul_(1e25)

    bench.learner._step.optimizer.step = overflow
    bench.train(1)
    del bench.learner._step.optimizer.step
    bench.learner.on_message(SaveCheckpoint(request_id=2))
    assert np.isfinite(bench.weights()).all() and bench.get("learner_steps") == 2
    assert bench.store.resolve(LATEST) == "step_00000001" and "step_00000002" not in bench.store.names()
    assert "step 2: no checkpoint is saved: the loss or the gradient of the next step is not fin" in bench.notes()[-1]
    assert bench.messages(NotSaved)[-1].request_id == 2
    bench.train(3)
    assert bench.notes()[-1] == "three steps in a row were not finite: back to learner step 1"
    np.testing.assert_array_equal(bench.weights(), saved)
    bench.train(1)
    assert bench.get("learner_steps") == 2


def test_run_whose_rate_was_too_high_resumes_with_a_lower_one(tmp_path):
    bench = Bench(tmp_path, "learner.checkpoint_interval=1")
    bench.train(2)
    saved, sane = bench.weights(), bench.profile
    bench.profile = tiny_profile(
        "stop.learner_steps=1000", "learner.checkpoint_interval=1", "learner.learning_rate=1e38"
    )
    bench.start()
    with pytest.raises(MzpipeError, match=r"again after going back to learner step 2: lower learner\.learning_rate"):
        bench.train(8)
    bench.profile = sane
    bench.start()
    np.testing.assert_array_equal(bench.weights(), saved)
    bench.train(1)
    assert bench.store.resolve(LATEST) == "step_00000003"


@pytest.fixture
def second_rank(tmp_path, monkeypatch):
    """Rank 1 of two, with a group played by hand whose ranks have reached batch `latest`."""
    group = SimpleNamespace(latest=0, closed=0)

    class Group(OneRank):
        def __init__(self, directory, *, index, size, epoch, device, backend):
            assert (index, size, backend) == (1, 2, "gloo")

        def latest(self, number):
            return max(number, group.latest)

        def close(self):
            group.closed += 1

    monkeypatch.setattr(module, "Ranks", Group)
    bench = Bench(tmp_path, "learner.devices=['cpu','cpu']", index=1)
    return SimpleNamespace(bench=bench, group=group, first=bench.plane.counters(LEARNER))


def test_second_rank_trains_only_on_what_the_first_has_called(second_rank):
    bench = second_rank.bench
    bench.give()
    assert bench.learner.do_work() == 0
    second_rank.first.set("step_ticket", 1)
    assert bench.learner.do_work() == 1
    bench.give()
    assert bench.learner.do_work() == 0
    assert bench.priorities.peek().keys.slot_B.tolist() == [0, 1]  # its half of a batch of 4


def test_second_rank_draws_numbers_of_its_own(second_rank, tmp_path):
    second = torch.rand(4)
    (tmp_path / "first").mkdir()
    Bench(tmp_path / "first")
    assert not torch.equal(torch.rand(4), second)


def test_second_rank_publishes_and_saves_nothing(second_rank):
    bench = second_rank.bench
    second_rank.first.set("step_ticket", 9)
    bench.train(3)
    bench.learner.on_message(SaveCheckpoint(request_id=1))
    assert bench.subscriber.pull() is None
    assert not bench.port.to_supervisor and not bench.store.names()
    assert second_rank.first.get("learner_steps") == 0


def test_second_rank_takes_part_in_a_step_that_was_called_before_it_stopped(second_rank):
    bench = second_rank.bench
    before = bench.weights()
    bench.give()
    second_rank.first.set("step_ticket", 1)
    bench.learner.on_close()
    assert not np.array_equal(bench.weights(), before)
    assert second_rank.group.closed == 1


def test_second_rank_stops_at_once_when_nothing_was_called(second_rank):
    bench = second_rank.bench
    before = bench.weights()
    bench.give()
    bench.learner.on_close()
    np.testing.assert_array_equal(bench.weights(), before)


def test_rank_that_fails_inside_a_step_ends_without_leaving_the_group_whose_peers_wait_for_it(second_rank):
    bench = second_rank.bench

    def fail(batch):
        raise RuntimeError("CUDA out of memory")

    bench.learner._step.begin = fail
    bench.give()
    second_rank.first.set("step_ticket", 1)
    with pytest.raises(RuntimeError, match="out of memory"):
        bench.learner.do_work()
    bench.learner.on_close()
    assert second_rank.group.closed == 0


def test_rank_leaves_out_batches_whose_other_part_was_trained_on_before_a_restart(second_rank):
    bench, second_rank.group.latest = second_rank.bench, 2
    bench.start()
    second_rank.first.set("step_ticket", 3)
    before = bench.weights()
    for _ in range(2):
        bench.give()
        assert bench.learner.do_work() == 1
    np.testing.assert_array_equal(bench.weights(), before)
    bench.give()
    bench.learner.do_work()
    assert not np.array_equal(bench.weights(), before)
    assert bench.priorities.peek().keys.slot_B.tolist() == [2, 3]


def test_first_rank_calls_the_others_before_it_trains(tmp_path, monkeypatch):
    class Group(OneRank):
        def __init__(self, directory, **place):
            pass

    monkeypatch.setattr(module, "Ranks", Group)
    bench = Bench(tmp_path, "learner.devices=['cpu','cpu']")
    called = []
    monkeypatch.setattr(bench.learner, "_train", lambda *batch: called.append(bench.get("step_ticket")) or 1)
    assert bench.learner.do_work() == 0
    bench.give()
    bench.learner.do_work()
    assert called == [1]


def test_weights_that_are_not_finite_are_never_published(tmp_path):
    bench = Bench(tmp_path, "learner.publish_interval=1")
    with torch.no_grad():
        bench.learner._model.prediction.value.bias[0] = float("nan")
    version = bench.get("weights_version")
    bench.learner._publish()
    assert bench.get("weights_version") == version
    assert "weights are not finite, not published" in bench.notes()[-1]


def test_learner_gives_its_ring_back_to_the_driver_when_it_closes(tmp_path, monkeypatch):
    """Two learners over one ring, one after the other: the second can register it again."""
    open_rings = []

    class Pinned:
        def __init__(self, ring, device, note):
            self.place = ring.payloads[0].ctypes.data
            assert self.place not in open_rings
            open_rings.append(self.place)

        def close(self):
            open_rings.remove(self.place)

    monkeypatch.setattr(batches, "pin_memory", Pinned)
    bench = Bench(tmp_path)
    bench.train(1)
    assert open_rings
    bench.learner.on_close()
    assert not open_rings
    bench.start()
    bench.learner.on_close()


def test_learner_closes_when_it_never_started(tmp_path):
    plane = Bench(tmp_path).plane
    Learner(make_context(tiny_profile(), plane, Role.LEARNER)).on_close()
