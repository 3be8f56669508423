"""One training step: schedule, clipping, and the state after a non-finite loss."""

import copy
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from mzpipe.config import LearnerConfig, NetworkConfig
from mzpipe.errors import CheckpointError
from mzpipe.learner.average import AverageWeights
from mzpipe.learner.loss import LossFunction
from mzpipe.learner.optimizer import Optimizer, learning_rate, optimizer_arrays, restore_optimizer
from mzpipe.learner.step import TrainingStep
from mzpipe.nets import Model, place_model
from tests.learner.batches import make_batch, make_model, with_observations


def states_equal(first, second):
    return all(torch.equal(a, b) for a, b in zip(first.values(), second.values(), strict=True))


def residual_model():
    config = NetworkConfig(
        kind="residual", num_channels=4, head_channels=2, value_support_size=3, reward_support_size=3
    )
    return Model(config, (1, 16, 16), 3)


def placed_residual_model():
    torch.manual_seed(0)
    return place_model(residual_model(), "cpu")


def image_batch(seed):
    images = torch.rand((4, 1, 16, 16), generator=torch.Generator().manual_seed(seed))
    return make_batch(batch_size=4, seed=seed)._replace(frame_BF=images[:, None])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_step_lowers_the_loss_of_a_batch(optimizer):
    step, batch = TrainingStep(make_model(), LearnerConfig(optimizer=optimizer, learning_rate=0.02)), make_batch()
    first = step(batch).losses.total.item()
    for _ in range(100):
        last = step(batch).losses.total.item()
    assert last < 0.9 * first
    assert step.learner_steps == 101


def make_step(model, device_skips, average=None, **fields):
    """A step on a CPU, which the host skips, or nobody but the device, as on a GPU."""
    step = TrainingStep(model, LearnerConfig(**fields), average=average)
    step._device_skips = device_skips
    return step


def bad_batch(**fields):
    bad = make_batch(**fields)
    bad.value_target_BK1[0, 0] = float("nan")
    return bad


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("device_skips", [False, True])
def test_step_skips_and_leaves_everything_when_a_target_is_not_finite(device_skips, optimizer):
    step = make_step(make_model(), device_skips, optimizer=optimizer)
    step(make_batch())
    weights, optimizer = copy.deepcopy(step._model.state_dict()), optimizer_arrays(step.optimizer)
    bad = make_batch()
    bad.value_target_BK1[0, 0] = float("nan")
    result = step(bad._replace(frame_BF=torch.full_like(bad.frame_BF, float("nan"))))
    assert result.skipped
    assert step.learner_steps == 1
    assert states_equal(step._model.state_dict(), weights)
    assert all((after == optimizer[name]).all() for name, after in optimizer_arrays(step.optimizer).items())
    assert not step(make_batch()).skipped


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_device_that_skips_takes_the_steps_that_the_host_would(optimizer):
    results = []
    for device_skips in (False, True):
        model = make_model(value_prefix=True, consistency=True)
        average = AverageWeights(model, 0.9)
        step = make_step(model, device_skips, average=average, optimizer=optimizer, warmup_steps=3)
        batches = [with_observations(each) for each in (make_batch(), bad_batch(), make_batch(seed=1))]
        assert [step(batch).skipped for batch in batches] == [False, True, False]
        results.append((model.state_dict(), optimizer_arrays(step.optimizer), average.model.state_dict()))
    (weights, moments, average), (same_weights, same_moments, same_average) = results
    assert states_equal(weights, same_weights)
    assert all((moments[name] == same_moments[name]).all() for name in moments)
    for name, value in average.items():
        torch.testing.assert_close(same_average[name], value, msg=name)


def test_average_stays_where_it_is_when_the_device_skips_a_step():
    model = make_model()
    average = AverageWeights(model, 0.5)
    step = make_step(model, True, average=average)
    step(make_batch())
    before = copy.deepcopy(average.model.state_dict())
    assert step(bad_batch()).skipped
    assert states_equal(average.model.state_dict(), before)


def begun_at_once(step, batches):
    """The results of steps of which each begins before the result of the last is known."""
    results = []
    for batch in batches:
        step.begin(batch)
        if len(step._begun) == 2:
            results.append(step.finish())
    return [*results, step.finish()]


@pytest.mark.parametrize("device_skips", [False, True])
def test_step_that_begins_before_the_last_is_known_takes_its_place(device_skips):
    """Its learning rate and its weight in the mean image count the steps that were taken, which the host cannot yet."""
    network = NetworkConfig(
        kind="residual",
        num_channels=4,
        head_channels=2,
        value_support_size=3,
        reward_support_size=3,
        mean_image=True,
    )
    states = []
    for train in (lambda step, batches: [step(each) for each in batches], begun_at_once):
        torch.manual_seed(0)
        step = make_step(Model(network, (1, 16, 16), 3), device_skips, warmup_steps=5)
        batches = [image_batch(seed) for seed in range(5)]
        batches[1].value_target_BK1[0, 0] = float("nan")
        results = train(step, batches)
        assert [result.skipped for result in results] == [False, True, False, False, False]
        assert step.learner_steps == 4
        states.append((step._model.state_dict(), [result.losses.total.item() for result in results]))
    (expected, totals), (state, same_totals) = states
    assert same_totals == pytest.approx(totals, rel=1e-5, nan_ok=True)
    for name, value in expected.items():
        torch.testing.assert_close(state[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_result_has_the_numbers_of_the_loss():
    model, batch = make_model(), make_batch()
    expected = LossFunction(copy.deepcopy(model).train(), LearnerConfig())(batch)
    losses = TrainingStep(model, LearnerConfig())(batch).losses
    for name, value in expected._asdict().items():
        assert torch.equal(getattr(losses, name), value.detach().float()), name


@pytest.mark.parametrize("device_skips", [False, True])
def test_step_restores_batch_statistics_when_it_skips(device_skips):
    model = residual_model()
    step, batch = make_step(model, device_skips), make_batch(batch_size=2)
    before = copy.deepcopy(model.state_dict())
    bad = batch._replace(frame_BF=torch.full((2, 1, 1, 16, 16), float("nan")))
    assert step(bad).skipped
    assert states_equal(model.state_dict(), before)


def denormals(arrays):
    smallest_normal = torch.finfo(torch.float32).tiny
    return sum(int(((array != 0) & (abs(array) < smallest_normal)).sum()) for array in arrays)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_step_leaves_no_denormal_numbers_when_decay_has_brought_weights_there(optimizer):
    model, batch = make_model(), make_batch()
    batch.observation[:, 0] = 0.0  # so that nothing but decay moves the weights of the first input
    weight = next(parameter for parameter in model.parameters() if parameter.ndim == 2)
    weight.data[:, 0] = 1e-39
    step = TrainingStep(model, LearnerConfig(optimizer=optimizer))
    step(batch)
    assert denormals(parameter.detach() for parameter in model.parameters()) == 0
    assert denormals(optimizer_arrays(step.optimizer).values()) == 0


def test_step_leaves_arithmetic_as_it_was():
    TrainingStep(make_model(), LearnerConfig())(make_batch())
    assert torch.tensor([1e-39]).mul(1.0).item() != 0.0


def test_learning_rate_warms_up_then_decays():
    config = LearnerConfig(learning_rate=1.0, warmup_steps=10, lr_decay_rate=0.1, lr_decay_steps=100)
    rates = {steps: learning_rate(config, steps) for steps in (0, 9, 100, 200)}
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(0.1**0.09)
    assert rates[100] == pytest.approx(0.1)
    assert rates[200] == pytest.approx(0.01)


def test_learning_rate_falls_at_once_under_the_step_schedule():
    config = LearnerConfig(learning_rate=1.0, lr_schedule="step", lr_decay_rate=0.1, lr_decay_steps=100)
    rates = [learning_rate(config, steps) for steps in (0, 99, 100, 199, 200)]
    assert rates == pytest.approx([1.0, 1.0, 0.1, 0.1, 0.01])


def test_adamw_takes_the_weight_decay_off_the_weights_themselves():
    """Without a gradient AdamW still shrinks a weight by the factor 1 - rate * decay; Adam would take a step of the
    rate's size against the weight's sign."""
    config = LearnerConfig(optimizer="adamw", learning_rate=0.1, weight_decay=0.5, max_grad_norm=0.0)
    step, batch = TrainingStep(make_model(), config), make_batch()
    unused = step._model.dynamics.action.weight  # no gradient reaches the action that no unroll takes
    batch.action_BK[:] = 0
    before = unused[1].detach().clone()
    step(batch)
    torch.testing.assert_close(unused[1].detach(), before * (1.0 - 0.1 * 0.5))


@pytest.mark.parametrize("make_model", [make_model, placed_residual_model], ids=["mlp", "residual"])
@pytest.mark.parametrize(
    ("config", "reference"),
    [
        (LearnerConfig(optimizer="adam"), torch.optim.Adam),
        (LearnerConfig(optimizer="adamw"), torch.optim.AdamW),
        (LearnerConfig(optimizer="sgd"), partial(torch.optim.SGD, momentum=0.9)),
        (LearnerConfig(optimizer="sgd", momentum=0.0), torch.optim.SGD),
    ],
    ids=["adam", "adamw", "sgd", "sgd without momentum"],
)
def test_optimizer_takes_the_steps_of_torchs_own(config, reference, make_model):
    model = make_model()
    twin = copy.deepcopy(model)
    optimizer = Optimizer(model, config)
    theirs = reference(twin.parameters(), lr=1.0, weight_decay=config.weight_decay, fused=True)
    generator = torch.Generator().manual_seed(0)
    for rate in (0.1, 0.01, 0.02):
        theirs.param_groups[0]["lr"] = rate
        for ours, same in zip(list(model.parameters())[1:], list(twin.parameters())[1:], strict=True):
            ours.grad = torch.empty_like(ours).copy_(torch.randn(ours.shape, generator=generator))
            same.grad = ours.grad.clone()
        optimizer.step(rate)
        theirs.step()
    assert states_equal(model.state_dict(), twin.state_dict())


def test_training_step_does_not_load_torchs_compiler_when_nothing_is_compiled():
    program = (
        "import sys; from mzpipe.config import LearnerConfig; from mzpipe.learner.step import TrainingStep; "
        "from tests.learner.batches import make_batch, make_model; "
        "TrainingStep(make_model(), LearnerConfig())(make_batch()); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=100).returncode == 0


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_optimizer_state_continues_exactly_when_it_is_restored(optimizer):
    config = LearnerConfig(optimizer=optimizer)
    first, second = TrainingStep(make_model(), config), TrainingStep(make_model(), config)
    for seed in range(3):
        first(make_batch(seed=seed))
    second._model.load_state_dict(first._model.state_dict())
    restore_optimizer(second.optimizer, optimizer_arrays(first.optimizer))
    first(make_batch(seed=9))
    second(make_batch(seed=9))
    assert states_equal(first._model.state_dict(), second._model.state_dict())


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_optimizer_state_of_convolutions_continues_exactly_when_it_is_restored(optimizer):
    """Their weights lie in another order in memory than a checkpoint's arrays do."""
    config = LearnerConfig(optimizer=optimizer)
    first, second = TrainingStep(placed_residual_model(), config), TrainingStep(placed_residual_model(), config)
    for seed in range(3):
        first(image_batch(seed))
    second._model.load_state_dict(first._model.state_dict())
    restore_optimizer(second.optimizer, optimizer_arrays(first.optimizer))
    first(image_batch(9))
    second(image_batch(9))
    assert states_equal(first._model.state_dict(), second._model.state_dict())


def test_optimizer_state_is_refused_when_it_is_another_models():
    first, second = TrainingStep(make_model(), LearnerConfig()), TrainingStep(make_model(num_layers=2), LearnerConfig())
    first(make_batch())
    with pytest.raises(CheckpointError, match=r"optimiser state \d+\.exp_avg.* is another model's"):
        restore_optimizer(second.optimizer, optimizer_arrays(first.optimizer))


@pytest.mark.parametrize("fields", [{}, {"consistency_steps": "one"}])
def test_trial_of_a_step_changes_nothing(fields):
    """Weights, statistics, gradients and random numbers stay: the next step is the one that would have been taken."""
    results = []
    for is_tried in (False, True):
        torch.manual_seed(3)
        model = make_model(value_prefix=True, consistency=True)
        step = TrainingStep(model, LearnerConfig(**fields))
        batches = [with_observations(make_batch(seed=seed)) for seed in range(3)]
        for batch in batches:
            step(batch)
            assert not is_tried or step.would_take(batches[0])
        assert not step.would_take(with_observations(bad_batch()))
        results.append((model.state_dict(), optimizer_arrays(step.optimizer)))
    (weights, moments), (same_weights, same_moments) = results
    assert states_equal(weights, same_weights)
    assert all((moments[name] == same_moments[name]).all() for name in moments)


FORGED = {
    "index of letters": lambda state: state | {"x.exp_avg": np.zeros(1, np.float32)},
    "index without a parameter": lambda state: state | {"10000.exp_avg": np.zeros(1, np.float32)},
    "index below zero": lambda state: state | {"-1.exp_avg": np.zeros(1, np.float32)},
    "index of 5,000 digits": lambda state: state | {"9" * 5000 + ".exp_avg": np.zeros(1, np.float32)},
    "no index": lambda state: state | {"": np.zeros(1, np.float32)},
    "another dtype": lambda state: state | {"0.exp_avg": state["0.exp_avg"].astype(np.float64)},
    "a number for a tensor": lambda state: state | {"0.exp_avg": np.zeros((), np.float32)},
    "a tensor for a number": lambda state: state | {"0.step": state["0.exp_avg"]},
    "a part of a state": lambda state: {name: array for name, array in state.items() if name != "0.step"},
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_optimizer_state_is_refused_in_one_line_when_it_is_forged(forge):
    step = TrainingStep(make_model(), LearnerConfig())
    step(make_batch())
    before = optimizer_arrays(step.optimizer)
    with pytest.raises(CheckpointError, match=r"^optimiser state .{0,100}(is another model's|it has 0\.exp_avg)$"):
        restore_optimizer(step.optimizer, forge(before))
    assert all((after == before[name]).all() for name, after in optimizer_arrays(step.optimizer).items())


def test_optimizer_state_of_another_optimiser_is_left_out():
    first, second = (TrainingStep(make_model(), LearnerConfig(optimizer=each)) for each in ("adam", "sgd"))
    first(make_batch())
    restore_optimizer(second.optimizer, optimizer_arrays(first.optimizer))
    second(make_batch())
    fields = {name.partition(".")[2] for name in optimizer_arrays(second.optimizer)}
    assert fields == {"momentum_buffer"}


def test_bfloat16_step_takes_nearly_the_same_step():
    """Forward and backward passes lose digits; weights, the optimiser and the update stay float32."""
    plain, coarse = (TrainingStep(make_model(), LearnerConfig(precision=each)) for each in ("float32", "bfloat16"))
    batch = make_batch()
    first, second = plain(batch).losses, coarse(batch).losses
    assert second.total.item() == pytest.approx(first.total.item(), rel=0.02)
    assert second.total.item() != first.total.item()
    assert all(parameter.dtype == torch.float32 for parameter in coarse._model.parameters())


def test_training_says_so_and_continues_uncompiled_when_compile_fails(monkeypatch):
    def broken(*arguments, **options):
        def call(batch):
            raise RuntimeError("no C++ compiler\nand a long story")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    notes = []
    step = TrainingStep(make_model(), LearnerConfig(compile=True), note=notes.append)
    plain = TrainingStep(make_model(), LearnerConfig())
    batch = make_batch()
    assert step(batch).losses.total.item() == plain(batch).losses.total.item()
    step(batch)
    assert notes == [
        "learner.compile: the first step compiles the loss, which can take minutes",
        "learner.compile: RuntimeError: no C++ compiler: the learner continues without it",
    ]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, torch.AcceleratorError])
def test_failure_of_the_device_is_not_taken_for_one_of_the_compiler(monkeypatch, error):
    def broken(batch):
        raise error("of the device")

    monkeypatch.setattr(torch, "compile", lambda loss: broken)
    notes = []
    step = TrainingStep(make_model(), LearnerConfig(compile=True), note=notes.append)
    with pytest.raises(error, match="of the device"):
        step(make_batch())
    assert len(notes) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_compile_s_trial_leaves_no_gradients(monkeypatch, fails):
    def trial(loss):
        loss.train()
        loss(make_batch()).total.backward()
        if fails:
            raise RuntimeError("no compiler")
        return lambda batch: loss(batch)

    def compiled(loss):
        return lambda batch: trial(loss)(batch)

    monkeypatch.setattr(torch, "compile", compiled)
    step = TrainingStep(make_model(), LearnerConfig(compile=True))
    step._compile_once(make_batch())
    assert all(parameter.grad is None for parameter in step._model.parameters())


def test_compile_s_trial_leaves_the_model_as_it_was(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda loss: loss)
    network = NetworkConfig(
        kind="residual", num_channels=4, head_channels=2, value_support_size=3, reward_support_size=3
    )
    torch.manual_seed(0)
    models = [Model(network, (1, 16, 16), 3)]
    models.append(copy.deepcopy(models[0]))
    batch = make_batch(batch_size=4)._replace(frame_BF=torch.rand(4, 1, 1, 16, 16))
    for model, compile in zip(models, (True, False), strict=True):
        TrainingStep(model, LearnerConfig(compile=compile))(batch)
    assert states_equal(models[0].state_dict(), models[1].state_dict())


def test_training_says_so_and_leaves_out_cuda_graphs_without_cuda(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda loss: pytest.fail("nobody asked for it"))
    notes = []
    step = TrainingStep(make_model(), LearnerConfig(cuda_graphs=True), note=notes.append)
    assert not step(make_batch()).skipped
    assert notes == ["learner.cuda_graphs=true: the learner's device is cpu: it continues without graphs"]
