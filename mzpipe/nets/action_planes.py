"""Action planes: an action enters a residual dynamics function as more planes of the hidden state.

Shape legend    B samples   A actions   P planes   Y, X rows and columns of the hidden state; `grid` is (Y, X)
"""

import torch
from torch import Tensor, nn

# Scale of the random planes of actions without a known place: small next to features in [0, 1].
_RANDOM_SCALE = 0.1


class ScaledAction(nn.Module):
    """A constant plane that holds (action + 1) / A, for games whose actions have no place (EfficientZero's code)."""

    num_planes = 1

    def __init__(self, num_actions: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.num_actions, self.grid = num_actions, grid

    def forward(self, action_B: Tensor) -> Tensor:
        """[B, 1, Y, X], float32."""
        value = (action_B.to(torch.float32) + 1.0) / self.num_actions
        return value.view(-1, 1, 1, 1).expand(-1, 1, *self.grid)


class OneHotAction(nn.Module):
    """A constant plane per action, 1 in that of the action and 0 in the others (LightZero and MiniZero).

    A small network learns from it what actions without an order do in an eighth of the steps that a scaled plane takes.
    """

    actions: Tensor

    def __init__(self, num_actions: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.num_planes, self.grid = num_actions, grid
        self.register_buffer("actions", torch.arange(num_actions), persistent=False)

    def forward(self, action_B: Tensor) -> Tensor:
        """[B, A, Y, X], float32."""
        action_BA = (action_B.view(-1, 1) == self.actions).to(torch.float32)
        return action_BA.view(-1, self.num_planes, 1, 1).expand(-1, -1, *self.grid)


class BoardAction(nn.Module):
    """A learnt plane for each action, which starts as the place where the action plays (MuZero, appendix E).

    That place is a cell if there is one action per cell (one more action is a pass,
    whose plane is empty), and a column if there is one per column. Planes of any
    other numbering start at random.
    """

    num_planes = 1

    def __init__(self, num_actions: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.planes = nn.Embedding.from_pretrained(first_planes(num_actions, grid).flatten(1), freeze=False)

    def forward(self, action_B: Tensor) -> Tensor:
        """[B, 1, Y, X], float32."""
        return self.planes(action_B).unflatten(1, (1, *self.grid))


class VectorAction(nn.Module):
    """A constant plane for each number of an action that is a vector."""

    def __init__(self, action_size: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.num_planes, self.grid = action_size, grid

    def forward(self, action_BD: Tensor) -> Tensor:
        """[B, D, Y, X]."""
        return action_BD.view(-1, self.num_planes, 1, 1).expand(-1, -1, *self.grid)


def first_planes(num_actions: int, grid: tuple[int, int]) -> Tensor:
    """[A, Y, X]: 1 where the action plays, else 0; small random numbers if the places are unknown."""
    rows, columns = grid
    cells = rows * columns
    if num_actions in (cells, cells + 1):
        return torch.eye(num_actions)[:, :cells].reshape(num_actions, rows, columns).clone()
    if num_actions == columns:
        return torch.eye(columns)[:, None, :].repeat(1, rows, 1)
    return _RANDOM_SCALE * torch.randn(num_actions, rows, columns)
