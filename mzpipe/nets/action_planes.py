"""Action planes: an action enters a residual dynamics function as one more plane of the hidden state.

Shape legend    B samples   A actions   Y, X rows and columns of the hidden state; `grid` is (Y, X)
"""

import torch
from torch import Tensor, nn

# Scale of the random planes of actions without a known place: small next to features in [0, 1].
_RANDOM_SCALE = 0.1


class ScaledAction(nn.Module):
    """A constant plane that holds (action + 1) / A, for games whose actions have no place (EfficientZero's code)."""

    def __init__(self, num_actions: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.num_actions, self.grid = num_actions, grid

    def forward(self, action_B: Tensor) -> Tensor:
        """[B, 1, Y, X], float32."""
        value = (action_B.to(torch.float32) + 1.0) / self.num_actions
        return value.view(-1, 1, 1, 1).expand(-1, 1, *self.grid)


class BoardAction(nn.Module):
    """A learnt plane for each action, which starts as the place where the action plays (MuZero, appendix E).

    That place is a cell if there is one action per cell (one more action is a pass,
    whose plane is empty), and a column if there is one per column. Planes of any
    other numbering start at random.
    """

    def __init__(self, num_actions: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.planes = nn.Embedding.from_pretrained(first_planes(num_actions, grid).flatten(1), freeze=False)

    def forward(self, action_B: Tensor) -> Tensor:
        """[B, 1, Y, X], float32."""
        return self.planes(action_B).unflatten(1, (1, *self.grid))


def first_planes(num_actions: int, grid: tuple[int, int]) -> Tensor:
    """[A, Y, X]: 1 where the action plays, else 0; small random numbers if the places are unknown."""
    rows, columns = grid
    cells = rows * columns
    if num_actions in (cells, cells + 1):
        return torch.eye(num_actions)[:, :cells].reshape(num_actions, rows, columns).clone()
    if num_actions == columns:
        return torch.eye(columns)[:, None, :].repeat(1, rows, 1)
    return _RANDOM_SCALE * torch.randn(num_actions, rows, columns)
