"""Bugs of the networks and of what is made from them."""

from ..bug import Bug

BUGS = (
    Bug(
        "folded-bias-unscaled",
        "nets/engines/folded.py",
        "shift if bias is None else bias * scale + shift",
        "shift if bias is None else bias + shift",
        "Folding a normalisation scales the bias of the layer before it too.",
        ("nets/test_torch_networks", "nets/test_onnx_inference"),
    ),
    Bug(
        "min-max-over-batch",
        "nets/support.py",
        "    low, high = torch.aminmax(flat, dim=1, keepdim=True)\n",
        "    low, high = torch.aminmax(flat)\n",
        "Each hidden state is scaled by its own least and greatest number.",
        ("nets/test_model",),
    ),
    Bug(
        "mean-image-weight",
        "nets/model.py",
        "return 1.0 / (learner_steps + 1) if",
        "return 1.0 / (learner_steps + 2) if",
        "The mean image is the plain mean of the first batches.",
        ("nets/test_kinds",),
    ),
    Bug(
        "column-as-row",
        "nets/action_planes.py",
        "torch.eye(columns)[:, None, :].repeat(1, rows, 1)",
        "torch.eye(columns)[:, :, None].repeat(1, 1, rows)",
        "The plane of an action that plays in a column is that column.",
        ("nets/test_action_planes",),
    ),
    Bug(
        "exported-reward-is-prefix",
        "nets/onnx_export.py",
        "    return step.reward_B, torch.cat(",
        "    return scalar(step.outputs_BM), torch.cat(",
        "The reward of an exported model with value prefix is that of the step.",
        ("nets/test_onnx_export",),
    ),
)
