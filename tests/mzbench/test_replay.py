"""The case `replay`: the contestants do the same work, and every number has its reference."""

import sys
from pathlib import Path

import numpy as np
import pytest
from mzbench import timing
from mzbench.rates import MZPIPE
from mzbench.replay import case as replay
from mzbench.replay import cpprb as replay_cpprb
from mzbench.replay import episodes as stored
from mzbench.replay import handoff, references, tables
from mzbench.replay import storage as replay_storage
from mzbench.replay.case import Shape, Stock, contestants, measure, shapes
from mzbench.replay.rates import CPPRB, NUMPY, PIECES, RAW, STACKS, WHOLE
from mzbench.replay.sampling import tree_sampler

from mzpipe.config import load_profile
from mzpipe.ipc.columns import RecordLayout, named
from mzpipe.ipc.schema import BatchSlot
from mzpipe.replay.sum_tree import SumTree
from tests.tiny import planned

TRANSITIONS, FRAME_SHAPE = 1_000, (1, 3, 2)
ATARI100K = Path(__file__).parents[2] / "profiles" / "atari100k.toml"


@pytest.fixture
def episodes():
    """Episodes of every length and both ends, over frames that are all different."""
    rng = np.random.default_rng(5)
    return stored.make_episodes(rng.integers(0, 256, (TRANSITIONS, *FRAME_SHAPE), np.uint8), rng)


@pytest.fixture
def short_episodes(monkeypatch):
    """Episodes hardly longer than an unroll, so that many batches go past an end."""
    monkeypatch.setattr(stored, "EPISODE_LENGTHS", (1, 20))
    monkeypatch.setattr(tables, "TRAJECTORY_LENGTHS", (1, 7))


@pytest.fixture
def tiny(monkeypatch):
    """A case small enough for a test, without cpprb and without an emulator."""
    monkeypatch.setitem(sys.modules, "cpprb", None)
    monkeypatch.setattr(timing, "ROUND_S", 0.0)
    monkeypatch.setattr(stored, "FRAME_SHAPE", FRAME_SHAPE)
    monkeypatch.setattr(replay, "_QUICK_TRANSITIONS", TRANSITIONS)
    monkeypatch.setattr(replay, "_QUICK_FRAMES", TRANSITIONS)
    monkeypatch.setattr(replay_storage, "_INSERT_TRANSITIONS", TRANSITIONS)
    monkeypatch.setattr(replay, "_PLACES", 100)
    monkeypatch.setattr(replay, "_QUICK_HANDED_OUT", TRANSITIONS)
    monkeypatch.setattr(handoff, "FRAME_SHAPE", FRAME_SHAPE)
    monkeypatch.setattr(replay_storage, "play", lambda game, count: np.zeros((count, *FRAME_SHAPE), np.uint8))


def stock_of(episodes, cpprb=None):
    return Stock(episodes, tables.make_table(episodes, np.random.default_rng(1)), cpprb)


def batch_of(episodes, step_B):
    """The NumPy reference's batch of these steps, and which of its actions are stored ones."""
    slot = next(tables.ring_slots(episodes, len(step_B)))
    references.numpy_gather(episodes, step_B, slot, np.random.default_rng(0))
    return slot, step_B[:, None] + np.arange(tables.UNROLL_STEPS) < episodes.stop_T[step_B, None]


def test_numpy_gathers_what_mzpipe_gathers_of_every_stored_step(short_episodes, episodes, monkeypatch):
    every = np.arange(TRANSITIONS)
    monkeypatch.setattr(replay, "drawn_steps", lambda stop, size: every[None])
    ours = replay.gather(stock_of(episodes), TRANSITIONS, 1)()
    theirs, stored_BK = batch_of(episodes, every)
    assert not stored_BK.all()
    np.testing.assert_array_equal(ours.unrolls.action_BK[stored_BK], theirs.unrolls.action_BK[stored_BK])
    assert ((ours.unrolls.action_BK >= 0) & (ours.unrolls.action_BK < stored.NUM_ACTIONS)).all()
    np.testing.assert_allclose(ours.unrolls.value_target_BK1, theirs.unrolls.value_target_BK1, rtol=1e-6, atol=1e-6)
    found = named(ours)
    for name, array in named(theirs).items():
        if name not in ("action", "value_target"):
            np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_cpprb_samples_what_mzpipe_gathers(short_episodes, episodes, monkeypatch):
    cpprb = pytest.importorskip("cpprb")
    sample = replay_cpprb.cpprb_buffer(cpprb, episodes).sample(3 * TRANSITIONS)
    step_B = sample["slot"].ravel()
    assert len(np.unique(step_B)) > TRANSITIONS // 2
    monkeypatch.setattr(replay, "drawn_steps", lambda stop, size: step_B[None])
    ours = replay.gather(stock_of(episodes), len(step_B), 1)()
    np.testing.assert_array_equal(np.moveaxis(sample["observation"], -1, 1), ours.unrolls.observation)
    np.testing.assert_allclose(sample["value_target"], ours.unrolls.value_target_BK1, rtol=1e-6, atol=1e-6)
    for name in sample.keys() - {"observation", "value_target", "action", "indexes"}:
        expected = named(ours)[name]
        np.testing.assert_array_equal(sample[name].reshape(expected.shape), expected, err_msg=name)


def test_memcpy_copies_as_many_bytes_as_a_batch_has(episodes):
    slot = next(tables.ring_slots(episodes, 8))
    nbytes = sum(array.nbytes for array in named(slot).values())
    for memcpy in (references.memcpy_pieces, references.memcpy_whole):
        copied = memcpy(episodes, 8, 3, seed=0)()
        assert copied.nbytes == nbytes
        assert (copied == 1).all()


def test_records_hold_every_transition_once_in_order(short_episodes, episodes):
    records = stored.records(episodes, np.random.default_rng(0), (1, 7))
    actions = [record.steps.action[: record.length[0]].copy() for record in records]
    assert {len(part) for part in actions} == set(range(1, 8))
    np.testing.assert_array_equal(np.concatenate(actions), episodes.steps.action)


def test_contestants_are_ours_two_of_memcpy_numpy_and_cpprb_where_it_is_installed(episodes):
    class Stub:
        def sample(self, batch_size):
            return batch_size

    table_only = [contestant.name for contestant in contestants(stock_of(episodes), 4)]
    assert table_only == [MZPIPE, PIECES, WHOLE, NUMPY]
    every = contestants(stock_of(episodes, Stub()), 4)
    assert [contestant.name for contestant in every] == [*table_only, CPPRB]
    assert every[-1].call() == 4


def test_compressed_stacks_are_the_raw_ones_and_none_of_them_lies_raw(episodes):
    tiered = tables.make_tiered(episodes, np.random.default_rng(1))
    assert tiered.tail == 0
    assert tiered.frames.raw_tail >= TRANSITIONS - 2 * tables.TRAJECTORY_LENGTHS[1] > 0
    batch = np.random.default_rng(2).integers(0, tiered.frames.raw_tail, (1, 50))
    np.testing.assert_array_equal(
        replay_storage.stacks(tiered, episodes, batch)(),
        replay_storage.stacks(stock_of(episodes).table, episodes, batch)(),
    )


def test_both_trees_draw_the_same_places_with_the_same_weights_before_and_after_an_update():
    priority_N = np.random.default_rng(0).exponential(size=300)
    samplers = [tree_sampler(tree, priority_N) for tree in (SumTree(300), references.NumpyTree(300))]
    for _ in range(2):
        (ours_B, ours_weight_B), (theirs_B, theirs_weight_B) = (draw() for draw, _ in samplers)
        np.testing.assert_array_equal(ours_B, theirs_B)
        np.testing.assert_allclose(ours_weight_B, theirs_weight_B, rtol=1e-6)
        for _, update in samplers:
            update(np.arange(0, 300, 3), np.zeros(100))
    assert (ours_B % 3 != 0).all()


def test_cpprb_draws_by_priority_and_takes_updates():
    cpprb = pytest.importorskip("cpprb")
    buffer = replay_cpprb.prioritized_buffer(cpprb, np.array([0.0, 0.0, 5.0, 5.0]))
    buffer.update_priorities(np.array([3]), np.array([0.0]))
    places = buffer.sample(200, beta=tables.BETA)["indexes"]
    assert np.mean(places == 2) > 0.9


def test_shapes_are_a_line_over_batch_sizes_and_one_over_tables():
    every = shapes(quick=False)
    assert len(every) == len(set(every)) == 9
    assert {str(shape) for shape in every} >= {"128x60000", "256x60000", "1024x60000", "256x1000"}


def test_shapes_are_two_when_in_a_hurry():
    assert shapes(quick=True) == [Shape(128, 8_000), Shape(256, 8_000)]


def test_measure_compares_each_part_with_each_reference_that_is_there(tiny):
    seen = []
    result = measure(quick=True, progress=lambda *words: seen.append(words))
    assert [what for _, _, what in seen] == [
        "batch 128x1000",
        "batch 256x1000",
        "sum-tree",
        "compressed frames",
        "insertion",
        "handing out",
    ]
    assert [done for done, total, _ in seen] == list(range(6))
    pairs = {(row.case, row.reference.name) for row in result.comparisons}
    assert len(pairs) == len(result.comparisons)
    assert pairs == {
        *((f"replay/batch/{size}x1000", name) for size in (128, 256) for name in (PIECES, WHOLE, NUMPY)),
        ("replay/draw/100", NUMPY),
        ("replay/draw-and-update/100", NUMPY),
        ("replay/compressed/Pong", RAW),
        ("replay/compressed/Seaquest", RAW),
        ("replay/insert/64", WHOLE),
        ("replay/handoff/atari100k", STACKS),
        ("replay/handoff/atari100k", PIECES),
    }
    assert {row.ours.name for row in result.comparisons} == {MZPIPE}
    assert all(row.ours.value > 0.0 and row.reference.value > 0.0 for row in result.comparisons)


def test_measure_says_that_cpprb_is_missing(tiny):
    missing, *compressed, handed_out = measure(quick=True, progress=lambda *words: None).notes
    assert missing == "cpprb is not installed, its rows are left out: pip install -e '.[bench]' -c constraints.txt"
    assert [line.split(",")[0] for line in compressed] == ["Pong", "Seaquest"]
    assert handed_out.startswith("atari100k: 0 MB a batch, 0 MB of whole stacks; fill ")


def test_measure_draws_rates_along_both_sizes(tiny, monkeypatch):
    monkeypatch.setattr(replay, "shapes", lambda quick: [Shape(4, 1_000), Shape(256, 1_000), Shape(256, 800)])
    panels = measure(quick=True, progress=lambda *words: None).panels
    along = {panel.x_label: [x for x, _ in panel.lines[MZPIPE]] for panel in panels}
    assert along == {"positions of a batch": [4, 256], "transitions of the table": [800, 1_000]}
    assert all(set(panel.lines) == {MZPIPE, PIECES, WHOLE, NUMPY} for panel in panels)


def test_handed_out_batch_has_the_sizes_of_the_atari100k_profile():
    shape = planned(load_profile(ATARI100K)).shape
    frames = np.zeros((TRANSITIONS, *handoff.FRAME_SHAPE), np.uint8)
    layout = tables.slot_layout(
        stored.make_episodes(frames, np.random.default_rng(0)), tables.BATCH_SIZE, following=True
    )
    (ours,) = (field for field in layout.fields if field.name == "frame")
    (theirs,) = (field for field in RecordLayout.of(BatchSlot, shape.sizes()).fields if field.name == "frame")
    assert ours == theirs
    assert theirs.shape == (256, 9, 3, 96, 96)


@pytest.mark.slow
def test_play_gives_the_frames_of_a_game_that_moves():
    frames = stored.play("Pong", 200)
    assert (frames.shape, frames.dtype) == ((200, 1, 84, 84), np.uint8)
    assert len(np.unique(frames, axis=0)) > 50
