"""From a slot of the batch ring to tensors on the learner's device."""

import numpy as np
import torch

from .loss import Batch


def load_batch(slot: dict[str, np.ndarray], device: torch.device) -> Batch:
    """The slot's batch; on a CPU these are views that die with the slot's release."""

    def tensor(name: str) -> torch.Tensor:
        return torch.from_numpy(slot[name]).to(device)

    return Batch(
        observation=tensor("observation"),
        action_BK=tensor("action"),
        value_target_BK1=tensor("value_target"),
        value_mask_BK1=tensor("value_mask"),
        reward_target_BK=tensor("reward_target"),
        reward_mask_BK=tensor("reward_mask"),
        policy_target_BK1A=tensor("policy_target"),
        policy_mask_BK1=tensor("policy_mask"),
        weight_B=tensor("weight"),
    )
