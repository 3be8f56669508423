"""Stacked observations after the actions of an unroll, made on the device from frames that a batch carries once.

Shape legend    B unrolls   K unroll steps   F frames of an unroll   N steps of each unroll   S frames of a stack
"""

import torch
from torch import Tensor

from ..ipc.schema import Unrolls


def following_observations(batch: Unrolls[Tensor], step_BN: Tensor) -> Tensor:
    """The observation after action `step` (0 .. K - 1) of each unroll, [B * N, ...]; zeros where it is not stored.

    One copy of whole frames. Where an observation is not stored, the unroll's last frame is zeros and stands for all.
    """
    frame_BF, mask_BK = batch.frame_BF, batch.observation_mask_BK
    assert mask_BK is not None
    num_unrolls, num_frames, channels = frame_BF.shape[:3]
    place_S = torch.arange(1, batch.frame_stack + 1, device=frame_BF.device)
    place_BNS = (step_BN[..., None] + place_S).where(mask_BK.gather(1, step_BN)[..., None] > 0, num_frames - 1)
    first_B11 = num_frames * torch.arange(num_unrolls, device=frame_BF.device)[:, None, None]
    stacks = frame_BF.flatten(0, 1).index_select(0, (first_B11 + place_BNS).flatten())
    return stacks.view(-1, batch.frame_stack * channels, *frame_BF.shape[3:])
