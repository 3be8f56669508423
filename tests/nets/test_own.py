"""A network of one's own: found, checked when it is made and called, and the same in every engine."""

import numpy as np
import pytest
import torch

from mzpipe.config import NetworkConfig, parse_profile
from mzpipe.errors import ConfigError, DeviceError, OwnCodeError
from mzpipe.ipc.roles import Role
from mzpipe.learner.average import AverageWeights
from mzpipe.nets import FlatWeights, Model
from mzpipe.nets.engines.networks import make_networks
from mzpipe.nets.engines.own_networks import expected_answers, moved
from mzpipe.own_code import allow_own_code
from mzpipe.runtime.agent import failure
from tests.nets import own_networks
from tests.tiny import planned, tiny_profile

CPU, SMALL = torch.device("cpu"), {"value_support_size": 5, "reward_support_size": 2}
STOP = "[stop]\nlearner_steps = 5\n"


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    monkeypatch.setitem(own_networks.CALLS, "representation", 0)


def config(name="Plain", **arguments):
    return NetworkConfig(kind=f"tests.nets.own_networks:{name}", arguments=arguments, **SMALL)


def model_of(name="Plain", **arguments):
    torch.manual_seed(0)
    return Model(config(name, **arguments), (4,), 2)


def profile_of(name="Plain", *overrides, **arguments):
    given = [f"network.arguments.{key}={value!r}" for key, value in arguments.items()]
    return tiny_profile(f"network.kind=tests.nets.own_networks:{name}", "network.hidden_size=64", *given, *overrides)


def engines(runtime, name="Plain", **arguments):
    notes = []
    profile = profile_of(name, f"inference.runtime={runtime}", "inference.precision=float32", **arguments)
    networks = make_networks(profile, planned(profile).shape, CPU, count=1, pool_rows=8, max_batch=4, note=notes.append)
    return networks[0], profile, notes


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "openvino"])
def test_every_runtime_answers_as_the_class_does_whatever_the_axes_of_its_state(runtime, axes):
    network, profile, notes = engines(runtime, axes=axes)
    model = moved(Model(profile.network, (4,), 2))
    network.load(FlatWeights(model).read())
    rows, observation = np.arange(3), np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    root = network.infer_roots(observation, rows).copy()
    child = network.infer_children(rows, rows + 3, (rows % 2).astype(np.int32))
    np.testing.assert_allclose(np.stack([root, child]), expected_answers(model, observation, 2), rtol=1e-4, atol=1e-4)
    assert notes == []
    assert model.state_shape == {1: (8,), 2: (4, 2), 3: (4, 2, 1)}[axes]


def test_heads_and_initialisation_are_the_classs_own():
    model = model_of()
    assert model.value_prefix is None
    assert model.dynamics.own.reward.out_features == 5
    assert model.prediction.own.value.out_features == 11
    assert (model.prediction.own.policy.weight != 0.0).any()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("constructor", r"Faulty: its constructor raised RuntimeError: no memory of it \(own_networks.py, line \d+\)$"),
        ("constructor exits", r"Faulty: its constructor called sys.exit\(3\)"),
        ("exits", r"Faulty: its prediction called sys.exit\(5\) \(own_networks.py, line \d+\)$"),
        ("no dynamics", "it has no dynamics: representation, dynamics, prediction must be torch modules"),
        ("a method", "prediction is a method: representation, dynamics, prediction must be torch modules"),
        ("shared", "dynamics.again.weight and prediction.policy.weight are one tensor: make a module for each"),
        ("frozen", r"prediction.policy.weight is not trained \(requires_grad=False\): register it as a buffer"),
        ("float64", "prediction.table is torch.float64: weights are float32"),
        ("no batch", r"its representation returned \(8,\) for observations of shape \(2, 4\), not a hidden state"),
        ("one output", "its dynamics returned 1 values, not reward outputs and the next hidden state"),
        ("no tensor", "its prediction returned policy logits as list, not as a tensor"),
        ("wide", r"its representation returned the hidden state in torch.float64, not in torch.float32"),
        ("integers", r"its prediction returned policy logits in torch.int64, not in torch.float32"),
        ("other state", r"its dynamics returned the next hidden state of shape \(2, 7\), not \(2, 8\)"),
        ("reward", r"its dynamics returned reward outputs of shape \(2, 1\), not \(2, 5\)"),
        ("policy", r"its prediction returned policy logits of shape \(2, 11\), not \(2, 2\)"),
    ],
)
def test_a_class_that_breaks_its_contract_is_told_in_one_line_when_it_is_made(fault, said):
    with pytest.raises(OwnCodeError, match=said) as told:
        model_of("Faulty", fault=fault)
    assert "\n" not in str(told.value)


def test_parameters_outside_the_three_modules_are_refused():
    with pytest.raises(OwnCodeError, match="scale belongs to none of representation, dynamics, prediction"):
        model_of("Loose")


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("Plain", {"heads": 2}, r"network.arguments={'heads': 2}: got an unexpected keyword argument 'heads' \(it is"),
        ("Plain", {"num_actions": 2}, "multiple values for .*'num_actions'"),
        ("Gone", {}, r"network.kind='tests.nets.own_networks:Gone': .*own_networks.py has no Gone"),
        ("CALLS", {}, "not a callable object"),
    ],
)
def test_what_cannot_be_called_so_is_a_fault_of_the_profile(name, arguments, said):
    with pytest.raises(ConfigError, match=said):
        model_of(name, **arguments)


def test_without_permission_nothing_is_imported():
    allow_own_code(False)
    with pytest.raises(ConfigError, match=r"network.kind='nowhere:Net': this imports code: give --allow-env-import"):
        Model(NetworkConfig(kind="nowhere:Net"), (4,), 2)


def test_an_error_in_a_later_call_is_one_line_and_ends_the_role_as_a_known_one():
    model = model_of("Faulty", fault="later").eval()
    while own_networks.CALLS["representation"] < own_networks.HOUR:
        model.represent(torch.zeros(2, 4))
    with pytest.raises(OwnCodeError, match=r"its representation raised RuntimeError: the tenth hour \(own_") as told:
        model.represent(torch.zeros(2, 4))
    message = failure(told.value, Role.LEARNER)
    assert message.is_known
    assert message.exit_code == 2


def test_a_full_device_stays_a_fault_of_the_device(monkeypatch):
    model = model_of()

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(model.prediction.own, "forward", full)
    with pytest.raises(torch.OutOfMemoryError) as told:
        model.prediction(torch.zeros(2, 8))
    assert failure(told.value, Role.LEARNER).exit_code == DeviceError.exit_code


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_runtime_that_answers_otherwise_is_not_used(runtime):
    with pytest.raises(OwnCodeError, match=f"in {runtime} it answers otherwise than its code: by "):
        engines(runtime, "Faulty", fault="bent")


def test_auto_takes_torch_where_a_trace_answers_otherwise_and_says_so():
    network, _, notes = engines("auto", "Faulty", fault="bent")
    assert type(network).__name__ == "TorchNetwork"
    (note,) = notes
    assert note.startswith("onnxruntime does not run this network: torch takes its place and is slower: tests.nets.own")


def test_average_takes_over_the_state_that_is_no_weight():
    model = model_of()
    model.prediction.own.register_buffer("seen", torch.zeros(1))
    average = AverageWeights(model, 0.9)
    model.prediction.own.seen.fill_(3.0)
    model.representation.own[1 + 1].running_mean.fill_(7.0)
    average.update()
    assert average.model.prediction.own.seen == 3.0
    assert (average.model.representation.own[1 + 1].running_mean == 0.0).all()


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["network.kind=resnet"], "network.kind='resnet': it is neither .* as in my_net:MyNet; did you mean residual"),
        (["network.kind=a:b-c"], "network.kind='a:b-c': it is neither"),
        (["network.arguments={ width = 8 }"], r"network.arguments={'width': 8}: network.kind='mlp' does not take it"),
        (["network.kind=a:B", "network.num_channels=8"], "network.num_channels=8: network.kind='a:B' does not take it"),
        (["network.kind=a:B", "network.value_prefix=true"], "network.value_prefix=true: network.kind='a:B' does not"),
        (["network.kind=a:B", "network.arguments={ x = [1] }"], "network.arguments.x=.*: it is none of the kinds"),
        (["network.kind=a:B", "network.arguments={ Bad-name = 1 }"], "network.arguments.Bad-name"),
    ],
)
def test_profile_refuses_what_a_kind_does_not_take(overrides, said):
    with pytest.raises(ConfigError, match=said):
        parse_profile(STOP, overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["network.arguments={ width = 8, deep = true }", "network.consistency=true", "network.heads=scalar"],
        ["network.mean_image=true", "learner.augment_shift=4", "network.state_scaling=none"],
    ],
)
def test_profile_takes_what_holds_for_any_network(overrides):
    parse_profile(STOP, ["network.kind=a:B", *overrides])
