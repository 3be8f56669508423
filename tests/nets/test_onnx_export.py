"""The ONNX graphs, run by ONNX Runtime along paths, against the model in float64."""

import numpy as np
import onnxruntime
import pytest
import torch

from mzpipe.config import NetworkConfig
from mzpipe.nets import Model
from mzpipe.nets.onnx_export import export_graphs

NUM_ACTIONS, HORIZON = 3, 2
# Relative to the number, or to 1 if that is more: what a residual network leaves of float32's precision.
TOLERANCE = 1e-5
SUPPORTS = {"value_support_size": 5, "reward_support_size": 4}
MLP = {"hidden_size": 16}
RESIDUAL = {"kind": "residual", "num_channels": 8, "head_channels": 4, "head_hidden_size": 8, "lstm_size": 10}
PREFIX = {"value_prefix": True, "value_prefix_horizon": HORIZON}
# The choices of recipes for images.
CHOICES = {"mean_image": True, "action_encoding": "planes", "state_scaling": "none", "head_norm": True}
KINDS = {
    "mlp": ({**MLP, **SUPPORTS}, (4,), torch.float32),
    "mlp, plain heads": ({**MLP, "heads": "scalar"}, (4,), torch.float32),
    "mlp, value prefix": ({**MLP, **SUPPORTS, **PREFIX}, (4,), torch.float32),
    "mlp, chance": ({**MLP, **SUPPORTS, "chance_codes": 3}, (4,), torch.float32),
    "residual": ({**RESIDUAL, **SUPPORTS}, (4, 32, 32), torch.uint8),
    "residual, chance": ({**RESIDUAL, **SUPPORTS, "chance_codes": 3}, (4, 32, 32), torch.uint8),
    "residual, value prefix": ({**RESIDUAL, **SUPPORTS, **PREFIX}, (4, 32, 32), torch.uint8),
    "residual, recipe's choices": ({**RESIDUAL, **SUPPORTS, **CHOICES}, (4, 32, 32), torch.uint8),
    "residual, recipe's choices, value prefix": (
        {**RESIDUAL, **SUPPORTS, **PREFIX, **CHOICES, "residual_downsample": True},
        (4, 32, 32),
        torch.uint8,
    ),
    "board, plain heads, value prefix": (
        {**RESIDUAL, **PREFIX, "downsample": "none", "heads": "scalar"},
        (3, 6, 7),
        torch.float32,
    ),
}


class Case:
    """A model with noise in every weight, its graphs, and a session of each."""

    def __init__(self, config, shape, dtype):
        torch.manual_seed(0)
        self.shape, self.dtype = shape, dtype
        self.model = Model(NetworkConfig(**config), shape, NUM_ACTIONS)
        with torch.no_grad():
            for name, tensor in self.model.state_dict().items():
                if name.endswith("running_var"):
                    tensor.uniform_(0.5, 2.0)
                elif tensor.is_floating_point():
                    tensor.add_(0.2 * torch.randn_like(tensor))
        self.graphs = export_graphs(self.model, torch.zeros(2, *shape, dtype=dtype))
        self.exact = self.model.double()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.sessions = {
            name: onnxruntime.InferenceSession(graph.data, options, providers=["CPUExecutionProvider"])
            for name, graph in self.graphs.items()
        }

    def observations(self, batch):
        """(what the graph takes, the same for the model in float64)."""
        if self.dtype == torch.uint8:
            pixels = torch.randint(0, 256, (batch, *self.shape), dtype=torch.uint8)
            return pixels.numpy(), pixels.double() / 255.0
        values = torch.rand(batch, *self.shape)
        return values.numpy(), values.double()

    def run(self, name, *inputs):
        return self.sessions[name].run(None, dict(zip(self.graphs[name].inputs, inputs, strict=True)))


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def case(request):
    return Case(*request.param)


def assert_equal(found, expected):
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("batch", [1, 7])
@torch.no_grad()
def test_graphs_say_what_the_model_says_from_a_root_down_a_path(case, batch):
    observation, exact_observation = case.observations(batch)
    output = case.exact.initial_inference(exact_observation)
    (hidden_state,) = case.run("representation", observation)
    assert_equal(hidden_state, output.hidden_state)
    for _ in range(HORIZON + 1):
        action = torch.randint(0, case.model.num_places, (batch,))
        output = case.exact.recurrent_inference(output.hidden_state, action)
        reward, hidden_state = case.run("dynamics", hidden_state, action.numpy())
        assert_equal(reward, case.exact.reward(output))
        assert_equal(hidden_state, output.hidden_state)
        policy_logits, value = case.run("prediction", hidden_state)
        assert_equal(policy_logits, output.policy_logits_BA)
        assert_equal(value, case.exact.value(output))


def test_graphs_leave_the_batch_open_and_say_every_other_size(case):
    observation, hidden = ["batch", *case.shape], ["batch", *case.model.hidden_shape]
    pixels = "uint8" if case.dtype == torch.uint8 else "float32"
    described = {
        name: [{key: (spec.dtype, [*spec.shape]) for key, spec in each.items()} for each in graph[1:]]
        for name, graph in case.graphs.items()
    }
    assert described == {
        "representation": [{"observation": (pixels, observation)}, {"hidden_state": ("float32", hidden)}],
        "dynamics": [
            {"hidden_state": ("float32", hidden), "action": ("int64", ["batch"])},
            {"reward": ("float32", ["batch"]), "next_hidden_state": ("float32", hidden)},
        ],
        "prediction": [
            {"hidden_state": ("float32", hidden)},
            {"policy_logits": ("float32", ["batch", case.model.num_places]), "value": ("float32", ["batch"])},
        ],
    }
    types = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(uint8)": "uint8"}
    for name, session in case.sessions.items():
        in_file = [
            {each.name: (types[each.type], each.shape) for each in ends}
            for ends in (session.get_inputs(), session.get_outputs())
        ]
        assert in_file == described[name]
