"""The case `learner`: both contestants train the same step, and nothing but the ring lies between them."""

import dataclasses
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mzbench import timing
from mzbench.learner import case as learner
from mzbench.learner import reference as learner_reference
from mzbench.learner.case import MZPIPE, ONE_RANK, RESIDENT, TWO_RANKS, Shape, feed_shapes, measure, rank_shapes
from mzbench.learner.feed import FedLearner, fed_learner, fill_rings, shared_out
from mzbench.learner.peek import COPY, Taker
from mzbench.learner.processes import REPLAY, Refiller, make_member
from mzbench.learner.reference import resident_step
from mzbench.learner.work import ATARI100K, MLP, RESIDUAL, Work, make_profile, make_shape, private_slot

from mzpipe.config import NetworkConfig, load_profile
from mzpipe.errors import MzpipeError
from mzpipe.ipc.columns import named
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.ring import RingReader, RingWriter
from mzpipe.ipc.shape import Member
from mzpipe.measure.ceilings.noise import fill_batch
from mzpipe.runs.directory import RunDirectory, save_profile
from tests.tiny import make_context, planned

TINY = Work("tiny", NetworkConfig(hidden_size=8, value_support_size=5, reward_support_size=3), (3,), "float32", 1, 2)
IMAGES = Work("images", NetworkConfig(kind="residual", num_channels=4), (1, 32, 32), "uint8", 2, 5)
SIZE = 4
CARTPOLE = Path(__file__).parents[2] / "profiles" / "cartpole.toml"


@pytest.fixture
def plane(shm_path):
    """The shared memory of one rank, every slot of its ring filled."""
    return make_plane(shm_path, 1)


def make_plane(directory, num_ranks):
    plane = DataPlane.create(directory, make_shape(TINY, make_profile(TINY, SIZE, num_ranks)))
    fill_rings(plane)
    return plane


def make_refiller(plane):
    return Refiller(make_context(make_profile(TINY, SIZE, plane.shape.learner_ranks), plane, REPLAY.role))


@pytest.fixture
def fed(plane, tmp_path):
    """A learner in this process, of one rank; its refiller works whenever the learner looks after it."""
    run = RunDirectory(tmp_path / "run")
    run.logs.mkdir(parents=True)
    save_profile(make_profile(TINY, SIZE, 1), run.profile)
    rank, refiller = make_member(Member("learner", 0), run, plane, ("cpu",)), make_refiller(plane)
    rank.on_start()
    return FedLearner(rank, plane, SimpleNamespace(check=refiller.do_work))


@pytest.fixture
def tiny(monkeypatch):
    """A case small enough for a test, on the CPU alone."""
    monkeypatch.setattr(timing, "ROUND_S", 0.0)
    monkeypatch.setattr(learner, "_gpus", list)
    monkeypatch.setattr(learner, "MLP", TINY)
    monkeypatch.setattr(learner, "RESIDUAL", IMAGES)
    monkeypatch.setattr(learner, "ATARI100K", IMAGES)
    monkeypatch.setattr(learner, "_MLP_SIZE", SIZE)
    monkeypatch.setattr(learner, "_QUICK_RESIDUAL_SIZE", SIZE)


def names(shapes):
    return [str(shape) for shape in shapes]


def test_mlp_is_what_the_cartpole_profile_trains():
    profile = load_profile(CARTPOLE)
    assert MLP.network == profile.network
    assert names(feed_shapes(quick=False))[0] == f"mlp/{profile.learner.batch_size}/cpu"


def test_residual_has_atari_images_of_efficientzero():
    shape = make_shape(RESIDUAL, make_profile(RESIDUAL, 256, 1))
    assert (shape.observation_shape, shape.frame_dtype, shape.num_actions) == ((4, 96, 96), "uint8", 18)
    assert (RESIDUAL.network.num_channels, RESIDUAL.network.num_blocks) == (64, 1)


@pytest.mark.parametrize("num_ranks", [1, 2])
def test_profile_is_one_that_a_rank_can_load(tmp_path, num_ranks):
    profile = make_profile(MLP, 128, num_ranks)
    save_profile(profile, tmp_path / "profile.toml")
    assert load_profile(tmp_path / "profile.toml") == profile
    assert make_shape(MLP, profile).rank_batch_size == 128


@pytest.mark.parametrize("work", [TINY, IMAGES], ids=["vectors", "images"])
def test_fill_batch_leaves_nothing_as_it_was_and_masks_nothing(work):
    slot = private_slot(make_shape(work, make_profile(work, SIZE, 1)))
    fill_batch(slot, np.random.default_rng(0))
    assert slot.unrolls.observation.shape == (SIZE, work.frame_stack * work.frame_shape[0], *work.frame_shape[1:])
    assert all(len(np.unique(named(slot)[name])) > 3 for name in ("frame", "value_target", "reward_target"))
    assert 0 <= slot.unrolls.action_BK.min() < slot.unrolls.action_BK.max() < work.num_actions
    np.testing.assert_allclose(slot.unrolls.policy_target_BK1A.sum(-1), 1.0, rtol=1e-5)
    assert all((array == 1.0).all() for name, array in named(slot).items() if "mask" in name or name == "weight")


def test_refiller_hands_the_same_batches_out_again_and_writes_none_of_them(plane):
    ring, refiller = plane.batch_ring(0), make_refiller(plane)
    reader, payloads = RingReader(ring), [payload.copy() for payload in ring.payloads]
    assert len({payload.tobytes() for payload in payloads}) == ring.num_slots
    for payload in ring.payloads:
        payload.flags.writeable = False
    for _ in range(3 * ring.num_slots):
        assert refiller.do_work() == 1
        assert reader.peek() is not None
        reader.release()
    np.testing.assert_array_equal(ring.payloads, payloads)


def test_refiller_stops_at_a_full_ring(plane):
    refiller = make_refiller(plane)
    assert [refiller.do_work() for _ in range(plane.batch_ring(0).num_slots + 2)][-3:] == [1, 0, 0]


def test_refiller_takes_priorities_so_that_their_ring_never_fills(plane):
    writer, refiller = RingWriter(plane.priority_ring(0)), make_refiller(plane)
    for _ in range(3 * plane.priority_ring(0).num_slots):
        assert writer.claim() is not None
        writer.commit()
        refiller.do_work()


def test_refiller_gives_every_rank_a_batch_or_none(shm_path):
    plane = make_plane(shm_path, 2)
    readers, refiller = [RingReader(plane.batch_ring(rank)) for rank in range(2)], make_refiller(plane)
    while refiller.do_work():
        pass
    readers[0].release()
    assert refiller.do_work() == 0
    readers[1].release()
    assert refiller.do_work() == 1


@pytest.mark.parametrize(
    ("spare", "num_ranks", "refiller", "others"),
    [
        ([0], 1, [0], []),
        ([0], 2, [0], [[0]]),
        ([0, 1, 2], 1, [0, 1, 2], []),
        ([0, 1, 2], 2, [0, 1], [[2]]),
        ([0, 1], 3, [0, 1], [[1], [0]]),
    ],
)
def test_every_rank_has_a_core_of_its_own_and_the_refiller_the_others(spare, num_ranks, refiller, others):
    cores = shared_out(spare, num_ranks)
    ranks = [cores[Member("learner", rank)] for rank in range(1, num_ranks)]
    assert (cores[REPLAY], ranks) == (refiller, others)


def test_feed_shapes_are_small_when_in_a_hurry_except_for_a_gpu(monkeypatch):
    monkeypatch.setattr(learner, "_gpus", lambda: ["cuda:0", "cuda:1"])
    on_gpu = ["mlp/128/cuda", "residual/256/cuda", "atari100k/256/cuda"]
    assert names(feed_shapes(quick=False)) == ["mlp/128/cpu", "residual/256/cpu", *on_gpu]
    assert names(feed_shapes(quick=True)) == ["mlp/128/cpu", "residual/16/cpu", *on_gpu]


def test_rank_shapes_need_two_of_a_kind_and_say_what_is_missing(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    for gpus, expected in (([], 0), (["cuda:0"], 1), (["cuda:0", "cuda:1"], 0)):
        monkeypatch.setattr(learner, "_gpus", lambda gpus=gpus: gpus)
        shapes, notes = rank_shapes(quick=True)
        assert [shape.devices for shape in shapes] == [("cpu", "cpu"), *([tuple(gpus)] if len(gpus) == 2 else [])]
        assert notes == ["two ranks on GPUs are left out: there is one GPU"] * expected
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    monkeypatch.setattr(learner, "_gpus", list)
    assert rank_shapes(quick=True) == ([], ["two ranks on CPUs are left out: there is one core"])


def test_peek_takes_batches_of_the_atari100k_profile():
    shape = make_shape(ATARI100K, make_profile(ATARI100K, SIZE, 1))
    ours, theirs = shape.sizes(), planned(load_profile(CARTPOLE.with_name("atari100k.toml"))).shape.sizes()
    assert dataclasses.replace(theirs, batch_size=SIZE, num_actions=18, length=1, num_trees=ours.num_trees) == ours


def test_taker_takes_every_batch_of_a_ring_that_goes_round():
    taker = Taker(IMAGES, SIZE)
    for _ in range(9):
        taker.take()
    assert 0.0 < taker.peek_ms() < 1e3
    taker.copy()


def test_resident_step_refuses_to_time_steps_that_are_skipped(monkeypatch):
    def spoil(slot, rng):
        fill_batch(slot, rng)
        slot.unrolls.value_target_BK1[0] = np.nan

    resident_step(TINY, SIZE, "cpu")()
    monkeypatch.setattr(learner_reference, "fill_batch", spoil)
    with pytest.raises(MzpipeError, match="a training step on the resident batch was not finite: nothing was measured"):
        resident_step(TINY, SIZE, "cpu")()


def test_fed_learner_answers_releases_and_counts_the_steps_that_waited(fed, plane):
    answers, tail = RingReader(plane.priority_ring(0)), plane.batch_ring(0).cursors
    for _ in range(3):
        fed.step()
    fed.check()
    assert answers.peek().priority_B.shape == (SIZE,)
    assert plane.counters(Member("learner", 0)).get("learner_steps") == 3
    assert tail.max() == 3
    assert (fed.steps, fed.late) == (3, 2)  # the first may wait
    assert fed.waiting("case") == "case: 2 of 3 steps waited for a batch"


def test_fed_learner_refuses_to_time_steps_that_are_skipped(fed, plane):
    plane.batch_ring(0).slots[1].unrolls.reward_target_BK[0] = np.nan
    for _ in range(3):
        fed.step()
    with pytest.raises(MzpipeError, match="1 of 3 training steps were not finite: nothing was measured"):
        fed.check()


@pytest.mark.slow
def test_fed_learner_says_why_another_process_has_ended_and_leaves_nothing(nothing_left):
    no_core = os.cpu_count() + 1000
    with (
        pytest.raises(MzpipeError, match=r"next to the learner \(replay-0\) has ended: OSError: .*Invalid argument"),
        fed_learner(TINY, SIZE, ("cpu",), [no_core]),
    ):
        pass


@pytest.mark.slow
def test_measure_compares_both_networks_and_two_ranks_and_leaves_nothing(tiny, nothing_left):
    cores, seen = os.sched_getaffinity(0), []
    result = measure(quick=True, progress=lambda *words: seen.append(words))
    feeds = ["tiny/4/cpu", "images/4/cpu"]
    ranks = ["tiny/4/cpu, two ranks"] if len(cores) > 1 else []
    parts = [*feeds, *ranks, "peek"]
    assert seen == [(done, len(parts), what) for done, what in enumerate(parts)]
    rows = [(row.case, row.unit, row.ours.name, row.reference.name) for row in result.comparisons]
    assert rows == [
        ("learner/feed/tiny/4/cpu", "steps/s", MZPIPE, RESIDENT),
        ("learner/feed/images/4/cpu", "steps/s", MZPIPE, RESIDENT),
        *[("learner/ranks/tiny/4/cpu", "samples/s", TWO_RANKS, ONE_RANK) for _ in ranks],
        ("learner/peek/images/256/cpu", "batches/s", MZPIPE, COPY),
    ]
    assert all(row.ours.value > 0.0 and row.reference.value > 0.0 for row in result.comparisons)
    assert sum("steps waited for a batch" in note for note in result.notes) == len(feeds) + 2 * len(ranks)
    assert os.sched_getaffinity(0) == cores


@pytest.mark.slow
def test_measure_leaves_out_a_contestant_that_is_too_slow(tiny, monkeypatch, nothing_left):
    monkeypatch.setattr(learner, "turn_about", lambda every, rounds: timing.turn_about(every, rounds=1, max_call_s=0.0))
    rows, notes = learner.compare_feed(Shape(TINY, SIZE, ("cpu",), 1), sorted(os.sched_getaffinity(0)))
    assert rows == []
    assert notes[:2] == [
        f"{name} is left out at tiny/4/cpu: one call would take about 0 s" for name in (MZPIPE, RESIDENT)
    ]
