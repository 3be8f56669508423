"""Bugs of the training targets, from the n-step sum to the window that crosses trajectories."""

from ..bug import Bug

BUGS = (
    Bug(
        "td-stops-before-end",
        "targets/n_step.py",
        "    steps = min(td_steps, end - t)\n",
        "    steps = min(td_steps, end - t - 1)\n",
        "The return of the last steps of an episode includes its last reward.",
        ("targets/test_n_step",),
    ),
    Bug(
        "truncated-as-terminated",
        "replay/gather.py",
        "            over, final_value = trajectories.end_R[row] == TERMINATED, trajectories.final_value_R[row]\n",
        "            over, final_value = trajectories.end_R[row] != UNFINISHED, trajectories.final_value_R[row]\n",
        "A truncated episode bootstraps, and nothing counts after its end.",
        ("replay/test_gather",),
    ),
    Bug(
        "value-counts-past-truncation",
        "targets/unroll.py",
        "    targets.value_mask_K1[k] = 1.0 if terminated else 0.0\n",
        "    targets.value_mask_K1[k] = 1.0\n",
        "After a truncated or unfinished episode no value target counts.",
        ("targets/test_unroll",),
    ),
    Bug(
        "bootstrap-at-cut",
        "replay/gather.py",
        "        if stop - step >= num_states + td_steps or",
        "        if stop - step >= num_states or",
        "Targets do not depend on where an episode was cut into trajectories.",
        ("replay/test_gather",),
    ),
    Bug(
        "later-step-off-by-one",
        "replay/gather.py",
        "        if distance < left:\n            return step + distance\n",
        "        if distance <= left:\n            return step + distance\n",
        "The step some moves later lies in the next trajectory once this one is used up.",
        ("replay/test_gather",),
    ),
    Bug(
        "newest-search-values",
        "replay/gather.py",
        "            if added.search_version_C[row] != steps.weights_version[row]:\n"
        "                value_target_BK1[sample, k] = steps.root_value[row]\n",
        "            value_target_BK1[sample, k] = steps.root_value[row]\n",
        "A mixed value target takes the value of a state that was searched again, and keeps the return of another.",
        ("replay/test_gather", "replay/test_server"),
    ),
    Bug(
        "value-prefix-without-reset",
        "learner/loss.py",
        "    return torch.cat([part.cumsum(1) for part in"
        " batch.reward_target_BK.split(model.value_prefix.horizon, 1)], dim=1)\n",
        "    return batch.reward_target_BK.cumsum(1)\n",
        "The target of a value prefix is the sum of rewards since the last reset.",
        ("learner/test_loss", "nets/test_value_prefix"),
    ),
    Bug(
        "value-prefix-horizon",
        "nets/value_prefix.py",
        "(steps_B < self.horizon)",
        "(steps_B <= self.horizon)",
        "A search resets the value prefix after as many steps as training does.",
        ("nets/test_value_prefix",),
    ),
)
