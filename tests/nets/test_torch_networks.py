"""Torch networks: the model's own answers row by row, whatever the batch, its size, its type and its company."""

import numpy as np
import pytest
import torch

from mzpipe.config import NetworkConfig
from mzpipe.nets import FlatWeights, Model
from mzpipe.nets.engines.folded import FoldedModel
from mzpipe.nets.engines.torch_flight import Runway, buckets
from mzpipe.nets.engines.torch_network import make_torch_networks
from mzpipe.nets.support import inverse_transform

CPU, ACTIONS, MAX_BATCH, NODES = torch.device("cpu"), 5, 6, 4
SMALL = {"num_channels": 6, "num_blocks": 1, "head_channels": 3, "head_hidden_size": 8, "lstm_size": 8}
BOARD = {"kind": "residual", "downsample": "none", "action_encoding": "board", **SMALL}
IMAGES = {"kind": "residual", "downsample_blocks": (1, 1, 1), **SMALL}
# The settings of a network and the shape and dtype of its observations.
KINDS = {
    "mlp": ({"kind": "mlp", "hidden_size": 9}, (7,), torch.float32),
    "mlp with prefix": ({"kind": "mlp", "hidden_size": 9, "value_prefix": True}, (7,), torch.float32),
    "images": ({**IMAGES, "action_encoding": "planes"}, (3, 32, 32), torch.uint8),
    "images with prefix": (
        {**IMAGES, "value_prefix": True, "value_prefix_horizon": 2, "head_norm": True, "residual_downsample": True},
        (3, 32, 32),
        torch.uint8,
    ),
    "images, mean": ({**IMAGES, "mean_image": True, "state_scaling": "none"}, (3, 32, 32), torch.uint8),
    "board of odd size": ({**BOARD, "value_prefix": True, "num_channels": 5}, (2, 3, 3), torch.float32),
    "board, layer": (
        {**BOARD, "value_prefix": True, "head_norm": True, "dynamics_norm": "layer"},
        (2, 3, 3),
        torch.float32,
    ),
    "plain heads": ({**BOARD, "heads": "scalar"}, (2, 2, 3), torch.float32),
}


def measured_model(kind, seed=0):
    """A model with heads that are not at zero and statistics that were measured on data."""
    settings, shape, _ = KINDS[kind]
    torch.manual_seed(seed)
    model = Model(NetworkConfig(value_support_size=10, reward_support_size=5, **settings), shape, ACTIONS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        if model.mean_image is not None:
            model.mean_image.uniform_(0.2, 0.4)
        model.train()
        for _ in range(5):
            state = model.initial_inference(torch.from_numpy(observed(kind, 16, seed))).hidden_state
            model.recurrent_inference(state, torch.randint(ACTIONS, (16,)))
    return model.eval()


def observed(kind, count, seed=0):
    _, shape, dtype = KINDS[kind]
    rng = np.random.default_rng(seed)
    if dtype == torch.uint8:
        return rng.integers(0, 256, (count, *shape), np.uint8)
    return rng.normal(size=(count, *shape)).astype(np.float32)


def networks(kind, count=1, bfloat16=False, runway=None):
    _, shape, dtype = KINDS[kind]
    return make_torch_networks(
        measured_model(kind, seed=99),
        torch.zeros(1, *shape, dtype=dtype),
        ACTIONS,
        runway or Runway(CPU),
        count=count,
        pool_rows=MAX_BATCH * NODES,
        max_batch=MAX_BATCH,
        bfloat16=bfloat16,
    )


def loaded(kind, bfloat16=False, seed=0):
    (network,) = networks(kind, bfloat16=bfloat16)
    network.load(FlatWeights(measured_model(kind, seed)).read())
    return network


def asked(node, num_rows):
    """Pool rows of each tree's parent and child, and actions, of a batch that expands this node."""
    roots, rng = np.arange(MAX_BATCH) * NODES, np.random.default_rng(node)
    whole = roots + rng.integers(0, node, MAX_BATCH), roots + node, rng.integers(0, ACTIONS, MAX_BATCH, np.int32)
    return tuple(rows[:num_rows] for rows in whole)


def walk(network, kind, num_rows=MAX_BATCH):
    """Answers of roots, and of children that are each below any node before them."""
    answers = [network.infer_roots(observed(kind, num_rows), np.arange(num_rows) * NODES).copy()]
    answers += [network.infer_children(*asked(node, num_rows)).copy() for node in range(1, NODES)]
    return np.array(answers)


@torch.inference_mode()
def model_walk(model, kind, bfloat16=False):
    """The same answers by the model's own two inferences, a row at a time, with autocast for bfloat16."""
    nodes, answers = {}, np.zeros((NODES, MAX_BATCH, 2 + ACTIONS), np.float32)

    def keep(place, output):
        output = output._replace(**{name: each.float() for name, each in output._asdict().items() if each is not None})
        nodes[place] = output.hidden_state
        answer = [model.reward(output), model.value(output), *output.policy_logits_BA[0]]
        answers[place % NODES, place // NODES] = [float(number) for number in answer]

    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        for row, observation in enumerate(observed(kind, MAX_BATCH)):
            keep(row * NODES, model.initial_inference(torch.from_numpy(observation[None])))
        for node in range(1, NODES):
            for source, target, action in zip(*asked(node, MAX_BATCH), strict=True):
                keep(target, model.recurrent_inference(nodes[source], torch.tensor([action])))
    return answers


@pytest.mark.parametrize("kind", KINDS)
def test_torch_networks_answer_what_the_model_says_of_each_row(kind):
    expected = model_walk(measured_model(kind), kind)
    assert np.std(expected[1:], axis=(0, 1)).min() > 1e-3
    np.testing.assert_allclose(walk(loaded(kind), kind), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_networks_stay_as_close_to_float32_as_autocast_does(kind):
    model = measured_model(kind)
    exact, autocast = model_walk(model, kind), model_walk(model, kind, bfloat16=True)
    found = walk(loaded(kind, bfloat16=True), kind)
    spread = exact.std(axis=(0, 1)) + 1e-6
    errors = [float(np.sqrt((((answers - exact) / spread) ** 2).mean())) for answers in (found, autocast)]
    assert 0.0 < errors[0] < 1.5 * errors[1] + 0.01


def test_rewards_of_a_bfloat16_value_prefix_are_not_rounded_to_its_eight_bits():
    """Of a head that always says the same sum, the first reward is that sum and the second is 0."""
    kind = "images with prefix"
    model = measured_model(kind)
    with torch.no_grad():
        model.value_prefix.out.weight.zero_()
        model.value_prefix.out.bias.fill_(-200.0)
        model.value_prefix.out.bias[6:9] = 0.0  # a third of each of the bins 1, 2 and 3
    (network,) = networks(kind, bfloat16=True)
    network.load(FlatWeights(model).read())
    exact = float(inverse_transform(torch.tensor(2.0)))
    rows, action = np.arange(MAX_BATCH) * NODES, np.zeros(MAX_BATCH, np.int32)
    network.infer_roots(observed(kind, MAX_BATCH), rows)
    np.testing.assert_allclose(network.infer_children(rows, rows + 1, action)[:, 0], exact, rtol=1e-5)
    np.testing.assert_allclose(network.infer_children(rows + 1, rows + 2, action)[:, 0], 0.0, atol=1e-5)


def test_buckets_are_powers_of_two_up_to_all_rows():
    assert buckets(1) == [1]
    assert buckets(4) == [1, 2, 4]
    assert buckets(6) == [1, 2, 4, 6]


@pytest.mark.parametrize("kind", ["mlp with prefix", "images"])
def test_batches_of_any_size_give_the_same_answers(kind):
    network = loaded(kind)
    expected = walk(network, kind)
    for num_rows in range(1, MAX_BATCH):
        np.testing.assert_allclose(walk(network, kind, num_rows), expected[:, :num_rows], rtol=1e-4, atol=1e-5)


def test_rows_that_fill_up_a_batch_change_no_row_of_a_tree():
    network = loaded("mlp")
    walk(network, "mlp")
    pool = network._shared.pool_PF
    for num_rows in range(1, MAX_BATCH):
        before = pool.clone()
        source, target, action = asked(1, num_rows)
        network.infer_children(source, target, (action + 1 + num_rows % 2) % ACTIONS)
        changed = (pool != before).any(dim=1).nonzero().squeeze(1).tolist()
        filled = [len(pool) - 1] if num_rows not in buckets(MAX_BATCH) else []
        assert set(changed) <= {*target.tolist(), *filled}
        assert set(target.tolist()) <= set(changed)


def test_a_row_of_nan_stays_alone():
    network = loaded("mlp")
    expected = walk(network, "mlp")
    observation = observed("mlp", MAX_BATCH)
    observation[2] = np.nan
    answers = network.infer_roots(observation, np.arange(MAX_BATCH) * NODES)
    others = np.arange(MAX_BATCH) != 2
    np.testing.assert_array_equal(answers[others], expected[0, others])
    assert np.isnan(answers[2, 1:]).all()
    np.testing.assert_array_equal(walk(network, "mlp"), expected)


def test_weights_of_nan_are_forgotten_with_the_next_version():
    network, kind = loaded("images with prefix"), "images with prefix"
    expected, flat = walk(network, kind), FlatWeights(measured_model(kind)).read()
    network.load(np.full_like(flat, np.nan))
    assert np.isnan(walk(network, kind)[:, :, 1]).all()
    network.load(flat)
    np.testing.assert_array_equal(walk(network, kind), expected)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_weights_are_loaded_in_place(bfloat16):
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    folded = FoldedModel(measured_model("images with prefix"), CPU, dtype)
    before = {name: tensor.data_ptr() for name, tensor in folded.model.state_dict().items()}
    folded.load(torch.from_numpy(FlatWeights(measured_model("images with prefix", 1)).read()))
    assert {name: tensor.data_ptr() for name, tensor in folded.model.state_dict().items()} == before


def test_only_the_normalisation_of_an_lstm_remains():
    folded = FoldedModel(measured_model("images with prefix"), CPU, torch.bfloat16).model
    remaining = [name for name, module in folded.named_modules() if "BatchNorm" in type(module).__name__]
    assert remaining == ["value_prefix.layers.0"]
    assert {parameter.dtype for parameter in folded.prediction.parameters()} == {torch.bfloat16}
    assert folded.value_bins.dtype == folded.value_prefix.layers[0].running_var.dtype == torch.float32


def test_batches_of_two_flights_keep_their_answers_and_their_order():
    first, second = networks("mlp", count=2)
    for seed, network in enumerate((first, second)):
        network.load(FlatWeights(measured_model("mlp", seed)).read())
    rows, half = np.arange(MAX_BATCH) * NODES, MAX_BATCH // 2
    expected = [network.infer_roots(observed("mlp", MAX_BATCH), rows).copy() for network in (first, second)]
    one, two = first.flights
    assert second.flights is first.flights
    one.target_R[:half], two.target_R[:half] = rows[:half], rows[half:]
    first.start_roots(one, [observed("mlp", MAX_BATCH)[:1], observed("mlp", MAX_BATCH)[1:half]])
    second.start_roots(two, [observed("mlp", MAX_BATCH)[half:]])
    np.testing.assert_allclose(one.answer_RC[:half], expected[0][:half], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(two.answer_RC[:half], expected[1][half:], rtol=1e-5, atol=1e-6)
