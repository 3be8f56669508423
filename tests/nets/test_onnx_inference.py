"""Graphs with exchanged weights answer like the model with these weights, in both runtimes for CPUs."""

import numpy as np
import onnxruntime
import pytest
import torch

from mzpipe.config import NetworkConfig
from mzpipe.errors import MzpipeError
from mzpipe.nets import FlatWeights, Model
from mzpipe.nets.engines.onnx_inference import ExchangeableGraph, inference_graphs
from mzpipe.nets.engines.openvino_sessions import shared_core
from mzpipe.nets.onnx_export import trace
from tests.nets.test_onnx_export import KINDS, NUM_ACTIONS, TOLERANCE

PATH_LENGTH = 3


def noisy_model(config, shape, seed):
    torch.manual_seed(seed)
    model = Model(NetworkConfig(**config), shape, NUM_ACTIONS)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
        elif tensor.is_floating_point():
            tensor.add_(0.2 * torch.randn_like(tensor))
    return model.eval()


def onnxruntime_session(filled):
    session = onnxruntime.InferenceSession(filled, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)


def openvino_session(filled):
    core = shared_core()
    compiled = core.compile_model(core.read_model(filled), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda inputs: [array.copy() for array in compiled(inputs).values()]


@pytest.mark.parametrize("session_of", [onnxruntime_session, openvino_session])
@pytest.mark.parametrize(("config", "shape", "dtype"), KINDS.values(), ids=KINDS)
def test_graphs_say_what_the_model_says_whose_weights_they_have(config, shape, dtype, session_of):
    traced = noisy_model(config, shape, 0)
    before = {name: tensor.clone() for name, tensor in traced.state_dict().items()}
    graphs = inference_graphs(traced, torch.zeros(2, *shape, dtype=dtype))
    assert all(torch.equal(tensor, before[name]) for name, tensor in traced.state_dict().items())
    for seed, batch in ((1, 7), (2, 1)):  # other weights than when it was traced, other batches
        model = noisy_model(config, shape, seed)
        root, child = (session_of(graph.filled(FlatWeights(model).read())) for graph in graphs)
        exact = model.double()
        observation = (
            torch.randint(0, 256, (batch, *shape)).to(dtype) if dtype == torch.uint8 else torch.rand(batch, *shape)
        )
        hidden, answer = root({"observation": observation.numpy()})
        with torch.inference_mode():
            plain = observation.double() / 255.0 if dtype == torch.uint8 else observation.double()
            output = exact.initial_inference(plain)
            check(exact, output, hidden, np.insert(answer, 0, 0.0, axis=1))
            for step in range(PATH_LENGTH):
                action = (torch.arange(batch, dtype=torch.int32) + step) % NUM_ACTIONS
                hidden, answer = child({"hidden_state": hidden, "action": action.numpy()})
                output = exact.recurrent_inference(output.hidden_state, action)
                check(exact, output, hidden, answer)


def check(exact, output, hidden, answer):
    expected = torch.cat(
        [exact.reward(output).unsqueeze(1), exact.value(output).unsqueeze(1), output.policy_logits_BA], 1
    )
    np.testing.assert_allclose(hidden, output.hidden_state, rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(answer, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_weights_that_are_equal_when_traced_stay_apart():
    """The exporter merges weights of equal value; a fresh network has many, of zeros and ones."""
    config, shape, dtype = KINDS["residual"]
    torch.manual_seed(0)
    fresh = Model(NetworkConfig(**config), shape, NUM_ACTIONS)
    graphs = inference_graphs(fresh, torch.zeros(1, *shape, dtype=dtype))
    names = {name for name, tensor in fresh.state_dict().items() if tensor.is_floating_point()}
    used = {name.removeprefix("model.") for graph in graphs for name in graph._places}
    assert used == names


def test_a_graph_with_weights_that_the_model_does_not_have_is_refused():
    model = torch.nn.Linear(2, 2)
    graph = trace(model, {"x": torch.zeros(1, 2)}, ("y",), keep_weights=True)
    with pytest.raises(MzpipeError, match="has weights that the model does not have: weight"):
        ExchangeableGraph(graph.data, {"bias": slice(0, 2)})
