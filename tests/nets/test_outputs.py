"""Output bytes: counted by hand for a small MLP."""

import torch

from mzpipe.config import NetworkConfig
from mzpipe.nets import Model
from mzpipe.nets.outputs import output_bytes


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
