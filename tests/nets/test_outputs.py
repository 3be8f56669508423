"""Output bytes: counted by hand for a small MLP."""

import torch

from mzpipe.config import NetworkConfig
from mzpipe.nets import Model
from mzpipe.nets.cost import output_bytes


def test_output_bytes_count_every_innermost_module():
    config = NetworkConfig(hidden_size=8, value_support_size=2, reward_support_size=1)
    model = Model(config, (5,), 3)
    counted = {}
    for name, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda m, i, o, name=name: counted.__setitem__(name, o.numel() * 4))
    found = output_bytes(model, torch.zeros(1, 5), num_unroll_steps=2)

    def part(prefix):
        return sum(nbytes for name, nbytes in counted.items() if name.startswith(prefix))

    assert found.hidden_state == 8 * 4
    assert found.root == part("representation") + part("prediction") > 0
    assert found.unroll == part("representation") + 2 * part("dynamics") + 3 * part("prediction")


def test_output_bytes_leave_no_hooks_behind():
    model = Model(NetworkConfig(hidden_size=8), (5,), 3)
    output_bytes(model, torch.zeros(1, 5), num_unroll_steps=1)
    assert not any(module._forward_hooks for module in model.modules())


def test_output_bytes_of_a_value_prefix_hold_what_a_node_carries_and_what_the_lstm_puts_out():
    plain = output_bytes(Model(NetworkConfig(hidden_size=8), (5,), 3), torch.zeros(1, 5), num_unroll_steps=2)
    model = Model(NetworkConfig(hidden_size=8, value_prefix=True), (5,), 3)
    found = output_bytes(model, torch.zeros(1, 5), num_unroll_steps=2)
    assert found.hidden_state == 4 * (8 + 2 * 8 + 2)
    assert found.root == plain.root
    # In place of a linear layer: the features again, h and c, and h normalised, through two layers of 8.
    assert found.unroll - plain.unroll == 2 * 4 * (8 + 2 * 8 + 4 * 8)


def test_output_bytes_of_the_learners_model_hold_both_branches_of_the_consistency():
    config = NetworkConfig(hidden_size=8, consistency=True, consistency_projection_size=6, consistency_hidden_size=3)
    plain = output_bytes(Model(config, (5,), 3), torch.zeros(1, 5), num_unroll_steps=2)
    model = Model(config, (5,), 3, training_heads=True)
    found = output_bytes(model, torch.zeros(1, 5), num_unroll_steps=2)
    projector, predictor, widest = 8 + 8 * 6, 3 * 3 + 6, 8
    assert found.root == plain.root
    assert found.unroll - plain.unroll == 2 * 4 * (2 * projector + predictor + widest)
    one = output_bytes(model, torch.zeros(1, 5), num_unroll_steps=2, num_compared=1)
    assert one.unroll - plain.unroll == 4 * (2 * projector + predictor + widest)
