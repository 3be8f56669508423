"""Turns training samples by their game's symmetries, at random, on their device.

Each sample has one draw for all that belongs to it: the frames of its stack and those that follow, its actions, and its
policy targets. Values and rewards stay. The draw may leave the sample as it is.

Shape legend    B samples   K unroll steps   K1 = K + 1 states   A actions   S symmetries
                N planes of all frames of a sample   P places of a plane
Oracle          tests/naive/symmetries.py
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..games import Symmetry
from ..ipc.schema import Unrolls


class Symmetries(nn.Module):
    """Those of a game, and the one that leaves everything as it is, as tables of places and actions."""

    point_SP: Tensor
    action_SA: Tensor
    turned_action_SA: Tensor

    def __init__(self, symmetries: Sequence[Symmetry]) -> None:
        super().__init__()
        for name, permutations in (
            ("point_SP", [each.points for each in symmetries]),
            ("action_SA", [each.actions for each in symmetries]),
        ):
            table = torch.tensor([range(len(permutations[0])), *permutations])
            self.register_buffer(name, table, persistent=False)
        self.register_buffer("turned_action_SA", self.action_SA.argsort(1), persistent=False)

    def forward(self, batch: Unrolls[Tensor]) -> Unrolls[Tensor]:
        """The batch, each of its samples turned by a new draw."""
        return self.turned(batch, self.draw(len(batch.weight_B)))

    def draw(self, num_samples: int) -> Tensor:
        """The symmetry of each sample, [B]; all have the same probability, 0 is the one that changes nothing."""
        return torch.randint(len(self.point_SP), (num_samples,), device=self.point_SP.device)

    def turned(self, batch: Unrolls[Tensor], symmetry_B: Tensor) -> Unrolls[Tensor]:
        """The batch, each of its samples turned by this symmetry."""
        point_BP, action_BA = self.point_SP[symmetry_B], self.action_SA[symmetry_B]
        plane_BNP = batch.frame_BF.reshape(len(point_BP), -1, point_BP.shape[1])
        frame_BF = plane_BNP.gather(2, point_BP[:, None].expand_as(plane_BNP)).view(batch.frame_BF.shape)
        action_BK = self.turned_action_SA[symmetry_B].gather(1, batch.action_BK.long()).to(batch.action_BK.dtype)
        policy = batch.policy_target_BK1A
        return batch._replace(
            frame_BF=frame_BF,
            action_BK=action_BK,
            policy_target_BK1A=policy.gather(2, action_BA[:, None].expand_as(policy)),
        )
