"""Stacked observations after the actions of an unroll, from frames that a batch carries once.

Shape legend    B unrolls   K unroll steps   F frames of an unroll   N some of its steps
"""

from torch import Tensor

from ..ipc.schema import Unrolls


def following_observations(batch: Unrolls[Tensor]) -> Tensor:
    """The stacked observation after each action, [B, K, ...]: a view, in which neighbours share their frames."""
    return neighbouring_observations(batch)[1]


def neighbouring_observations(batch: Unrolls[Tensor]) -> tuple[Tensor, Tensor]:
    """Those before each action, and those after it."""
    stack_BK1 = batch.frame_BF.unfold(1, batch.frame_stack, 1).movedim(-1, 2).flatten(2, 3)
    return stack_BK1[:, :-1], stack_BK1[:, 1:]


def only_stored(observation_BN: Tensor, mask_BN: Tensor) -> Tensor:
    """A copy with zeros where the mask is 0.

    The frames before the end of an episode are still there: statistics over the batch must not see them again.
    """
    mask = mask_BN.to(observation_BN.dtype)
    return observation_BN * mask.view(*mask.shape, *[1] * (observation_BN.ndim - 2))
