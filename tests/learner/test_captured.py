"""The training step as one graph: the same bits as without it, one launch, and the plain step where it cannot be."""

import copy

import numpy as np
import pytest
import torch

from mzpipe.config import LearnerConfig
from mzpipe.games import Symmetry
from mzpipe.ipc.weights import WeightsSubscriber
from mzpipe.learner.average import AverageWeights
from mzpipe.learner.diagnostics import diagnose, gradient_norms
from mzpipe.learner.optimizer import optimizer_arrays
from mzpipe.learner.saving import make_checkpoint, restore_checkpoint
from mzpipe.learner.statistics import PlayedStatistics
from mzpipe.learner.step import TrainingStep
from mzpipe.nets import place_model
from mzpipe.runs.checkpoint import LATEST, CheckpointStore
from tests.learner.batches import make_batch, make_image_model, make_model, with_frames, with_observations
from tests.learner.test_step import begun_at_once
from tests.learner.test_step_on_gpu import on
from tests.stand_in_gpu import counted
from tests.stand_in_gpu.agents import FedLearner, profiles

pytestmark = pytest.mark.on_gpu
CUDA, STEPS, BAD = "cuda:0", 20, (5, 6, 12)
SHAPE = (3, 16, 16)
SCHEDULE = {"warmup_steps": 6, "lr_decay_rate": 0.5, "lr_decay_steps": 8, "learning_rate": 0.01}
KINDS = {
    "mlp": (lambda: make_model(), make_batch),
    "mlp with prefix and consistency": (
        lambda: make_model(value_prefix=True, consistency=True),
        lambda seed: with_observations(make_batch(seed=seed)),
    ),
    "images": (
        lambda: make_image_model(SHAPE, mean_image=True, value_prefix=True, lstm_size=8),
        lambda seed: image_batch(seed),
    ),
}
CHANGES = {
    "adam": {"optimizer": "adam"},
    "adamw": {"optimizer": "adamw", "lr_schedule": "step"},
    "sgd": {"optimizer": "sgd"},
    "sgd without momentum": {"optimizer": "sgd", "momentum": 0.0, "max_grad_norm": 0.0},
}
DRAWS = {"augment_shift": 2, "augment_intensity": 0.1, "consistency_steps": "one"}


def image_batch(seed):
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (6, 5, *SHAPE), generator=generator, dtype=torch.uint8)
    batch = make_batch(seed=seed)
    return with_frames(batch._replace(frame_BF=frames[:, :1]), frames[:, 1:])


def batches(kind, steps=STEPS, bad=BAD):
    found = [KINDS[kind][1](seed=seed) for seed in range(steps)]
    for number in bad:
        found[number].value_target_BK1[0, 0] = float("nan")
    return [on(CUDA, batch) for batch in found]


class Trained:
    """A step on the stand-in GPU, its model, the average of the weights, and what the step has noted."""

    def __init__(self, kind, symmetries=(), **fields):
        self.model, self.notes = place_model(KINDS[kind][0](), CUDA), []
        self.average = AverageWeights(self.model, 0.9)
        config = LearnerConfig(**{"precision": "float32", **SCHEDULE, **fields})
        given = {"average": self.average, "symmetries": symmetries, "note": self.notes.append}
        self.step = TrainingStep(self.model, config, **given)

    def train(self, given):
        """The results, each read after the next step has begun."""
        torch.manual_seed(7)
        return begun_at_once(self.step, given) if given else []

    def state(self):
        """All that training changes, by name."""
        arrays = {f"model {name}": value.cpu().numpy() for name, value in self.model.state_dict().items()}
        arrays |= {f"mean {name}": value.cpu().numpy() for name, value in self.average.model.state_dict().items()}
        return copy.deepcopy(arrays | optimizer_arrays(self.step.optimizer))


def assert_same_results(found, expected):
    assert [each.skipped for each in found] == [each.skipped for each in expected]
    for one, other in zip(found, expected, strict=True):
        for name, value in other.losses._asdict().items():
            assert torch.equal(torch.nan_to_num(getattr(one.losses, name)), torch.nan_to_num(value)), name


def assert_same_state(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def assert_same_steps(kind, **fields):
    plain, captured = (Trained(kind, cuda_graphs=graphs, **fields) for graphs in (False, True))
    expected = plain.train(batches(kind))
    with counted() as seen:
        found = captured.train(batches(kind))
    assert (captured.notes, seen.replays) == ([], STEPS - 2)
    assert [number for number, each in enumerate(expected) if each.skipped] == [*BAD]
    assert_same_results(found, expected)
    assert_same_state(captured.state(), plain.state())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("change", sorted(CHANGES))
def test_captured_steps_are_those_of_the_plain_step_bit_for_bit(change, precision):
    assert_same_steps("mlp with prefix and consistency", precision=precision, **CHANGES[change])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_captured_steps_draw_what_the_plain_step_draws_and_take_images_into_the_mean(precision):
    assert_same_steps("images", precision=precision, **DRAWS)


def test_captured_steps_turn_the_samples_that_the_plain_step_turns():
    assert_same_steps("mlp with prefix and consistency", symmetries=[Symmetry((4, 3, 2, 1, 0), (2, 1, 0))])


def test_captured_step_is_one_replay_and_waits_once_for_its_result():
    trained, given = Trained("mlp", cuda_graphs=True), batches("mlp")
    for batch in given[:4]:
        trained.step(batch)
    trained.step.begin(given[4])
    with counted() as seen:
        trained.step.begin(given[5])
    assert (seen.replays, seen.captured, seen.syncs) == (1, 0, 0)
    assert seen.launches - seen.replays == 2  # the batch's tensors of each of two types into the graph's
    assert (seen.h2d_async, seen.d2h_async, seen.h2d_blocking, seen.h2d_pageable, seen.d2h_blocking) == (1, 1, 0, 0, 0)
    with counted() as seen:
        trained.step.finish()
    assert (seen.syncs, seen.launches) == (1, 0)


def test_capture_that_fails_says_so_once_and_training_goes_on_from_where_it_was(monkeypatch):
    """Inside the capture a wait, which it refuses, comes after the backward pass."""
    kind = "mlp with prefix and consistency"
    plain, failing = Trained(kind), Trained(kind, cuda_graphs=True)
    expected = plain.train(batches(kind))
    skipped = TrainingStep._skipped

    def with_a_wait(step, *arguments):
        torch.cuda.is_current_stream_capturing() and arguments[0].total.item()
        return skipped(step, *arguments)

    monkeypatch.setattr(TrainingStep, "_skipped", with_a_wait)
    found = failing.train(batches(kind))
    assert failing.notes == [
        "learner.cuda_graphs=true: a step cannot be captured: CUDA error: operation not permitted when stream is "
        "capturing (item): it continues without graphs"
    ]
    assert_same_results(found, expected)
    assert_same_state(failing.state(), plain.state())


def test_memory_that_does_not_suffice_for_the_graph_is_an_error(monkeypatch):
    trained, given = Trained("mlp", cuda_graphs=True), batches("mlp")
    for batch in given[:2]:
        trained.step(batch)

    def refuse(graph, **options):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda.CUDAGraph, "capture_begin", refuse)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        trained.step(given[2])


@pytest.mark.parametrize("kept", [0, 3])
def test_checkpoint_is_restored_into_a_captured_step_in_place(kept):
    """One of the untrained model has no state of the optimiser: then there must be none again."""
    plain, captured = (Trained("images", cuda_graphs=graphs) for graphs in (False, True))
    states = []
    for trained in (plain, captured):
        given = batches("images", bad=())
        trained.train(given[:kept])
        checkpoint = copy.deepcopy(make_checkpoint(trained.model, trained.average, trained.step, {}))
        trained.train(given[kept:])
        restore_checkpoint(checkpoint, trained.model, trained.average, trained.step)
        assert trained.step.learner_steps == kept
        with counted() as seen:
            trained.train(given[kept : kept + 4])
        states.append(trained.state())
    assert seen.replays == 4 and seen.captured == 0
    assert_same_state(*states)
    fresh = Trained("images")
    fresh.train(batches("images", bad=())[:kept])
    fresh.train(batches("images", bad=())[kept : kept + 4])
    assert_same_state(states[1], fresh.state())


def test_state_that_is_not_sound_skips_captured_steps_until_it_is_restored():
    trained, given = Trained("mlp", cuda_graphs=True), batches("mlp", bad=())
    trained.train(given[:4])
    before = trained.state()
    trained.step.is_sound = False
    assert [each.skipped for each in trained.train(given[4:7])] == [True] * 3
    assert_same_state(trained.state(), before)
    trained.step.is_sound = True
    assert not trained.step(given[7]).skipped


def test_diagnostics_and_statistics_are_those_of_the_plain_step_and_change_no_later_one():
    found = []
    for graphs in (False, True):
        trained, given = Trained("images", cuda_graphs=graphs), batches("images", bad=())
        statistics = PlayedStatistics(trained.model)
        for number, batch in enumerate(given):
            trained.step(batch)
            statistics.keep(batch)
            if number % 3 == 2:
                statistics.measure()
                found.append((gradient_norms(trained.model), diagnose(trained.model, batch)))
        found.append(trained.state())
    half = len(found) // 2
    for (norms, measured), (same_norms, same_measured) in zip(found[: half - 1], found[half:-1], strict=True):
        np.testing.assert_array_equal(norms, same_norms)
        assert norms[0] > 0
        for name, value in measured.items():
            np.testing.assert_array_equal(value, same_measured[name], err_msg=name)
    assert_same_state(found[-1], found[half - 1])


def test_compiled_loss_is_captured_too(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda loss, **options: compiled.append(options) or loss)
    plain, captured = (Trained("mlp", cuda_graphs=graphs, compile=graphs) for graphs in (False, True))
    expected, found = (trained.train(batches("mlp")) for trained in (plain, captured))
    assert compiled == [{}]  # no graphs of the compiler's own
    assert_same_results(found, expected)
    assert_same_state(captured.state(), plain.state())


def test_several_ranks_train_without_graphs_and_say_so(monkeypatch):
    class Several:
        """Stands for the ranks of a learner with two."""

        def spread(self, loss):
            return loss

        def all(self, flag):
            return flag

    notes = []
    step = TrainingStep(
        place_model(make_model(), CUDA), LearnerConfig(cuda_graphs=True), ranks=Several(), note=notes.append
    )
    with counted() as seen:
        begun_at_once(step, batches("mlp")[:4])
    assert seen.replays == 0
    assert notes == ["learner.cuda_graphs=true: its ranks meet inside each step: it continues without graphs"]


def test_captured_learner_publishes_saves_measures_and_rolls_back_as_the_plain_one(tmp_path):
    """All its batches come from the ring; three bad ones in a row bring back the checkpoint of step 8."""
    intervals = "publish_interval=3", "checkpoint_interval=4", "diagnostics_interval=2", "average_decay=0.9"
    found = []
    for graphs in ("false", "true"):
        (tmp_path / graphs).mkdir()
        fields = (f"learner.{each}" for each in (*intervals, f"cuda_graphs={graphs}"))
        fed = FedLearner(tmp_path / graphs, profiles(*fields)["residual with value prefix and consistency"], CUDA)
        torch.manual_seed(7)
        with counted() as seen:
            priorities = [*fed.train(9), *fed.train(3, bad=True)]
        rolled_back = fed.weights()
        priorities += fed.train(6)
        published = WeightsSubscriber(fed.plane.weights()).pull()
        saved = CheckpointStore(tmp_path / graphs / "checkpoints").load(LATEST)
        gauges = {name: values.copy() for name, values in fed.plane.diagnostics().items()}
        found.append((priorities, rolled_back, fed.weights(), published, saved, gauges))
        assert seen.replays == (10 if graphs == "true" else 0)
        fed.learner.on_close()
    (expected, plain), (priorities, captured) = ((each[0], each[1:3]) for each in found)
    assert len(expected) >= 14
    np.testing.assert_array_equal(priorities, expected)
    np.testing.assert_array_equal(captured, plain)
    (_, _, _, published, saved, gauges), (_, _, _, same_published, same_saved, same_gauges) = found
    np.testing.assert_array_equal(published.weights, same_published.weights)
    assert published.learner_steps == same_published.learner_steps == 12
    assert_same_state(same_saved.weights, saved.weights)
    assert_same_state(same_saved.optimizer, saved.optimizer)
    assert_same_state(same_gauges, gauges)
