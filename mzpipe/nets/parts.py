"""Actions that combine parts: what is learnt of a part is shared by all actions that have it.

Action a has the parts numpy.unravel_index(a, sizes), the last of which changes fastest. Places at or after the product
of the sizes, as a pass or codes of chance, have no parts.

Shape legend    B samples   H hidden units   A places   P parts
                R rows: the numbers of all parts, one part after another, and then the places without parts
"""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ConfigError


class PartsVector(nn.Module):
    """A learnt vector for each action, [B, H]: the sum of its parts' vectors, or one of its own if it has no parts."""

    rows_AP: Tensor

    def __init__(self, sizes: Sequence[int], num_actions: int, size: int) -> None:
        super().__init__()
        has_row_RA = _has_row(sizes, num_actions)
        # A place without parts has one row, and instead of others the one after the last, which is 0.
        num_rows = len(has_row_RA)
        self.vectors = nn.Embedding(num_rows + 1, size, padding_idx=num_rows)
        rows_AP = np.full((num_actions, len(sizes)), num_rows)
        rows_AP[:, 0] = has_row_RA.argmax(axis=0)
        rows_AP[: prod(sizes)] = _rows(sizes)
        self.register_buffer("rows_AP", torch.from_numpy(rows_AP), persistent=False)

    def forward(self, action_B: Tensor) -> Tensor:
        """The vectors of these actions."""
        summed: Tensor = self.vectors(self.rows_AP[action_B]).sum(-2)
        return summed


class PartsLogits(nn.Module):
    """Features [B, H] -> policy logits [B, A]: the sum of an action's parts' logits, or its own if it has no parts.

    A policy is then a product of one for each part, over the actions that are legal.
    """

    has_row_RA: Tensor

    def __init__(self, features: int, sizes: Sequence[int], num_places: int) -> None:
        super().__init__()
        has_row_RA = _has_row(sizes, num_places)
        self.out = nn.Linear(features, len(has_row_RA))
        self.register_buffer("has_row_RA", torch.from_numpy(has_row_RA), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """The logits of all places."""
        logits: Tensor = self.out(features) @ self.has_row_RA
        return logits


def check_parts(sizes: Sequence[int], num_actions: int) -> None:
    """Raises ConfigError if the parts combine to more actions than there are."""
    if prod(sizes) > num_actions:
        raise ConfigError(
            f"network.action_parts={list(sizes)}: they combine to {prod(sizes)} actions, and the game has {num_actions}"
        )


def _has_row(sizes: Sequence[int], num_places: int) -> np.ndarray:
    """1 where a place has a row: those of its parts, or one of its own, after those of all parts; float32 [R, A]."""
    num_parts, num_combined = sum(sizes), prod(sizes)
    has_row_RA = np.zeros((num_parts + num_places - num_combined, num_places), np.float32)
    has_row_RA[_rows(sizes), np.arange(num_combined)[:, None]] = 1.0
    has_row_RA[num_parts:, num_combined:] = np.eye(num_places - num_combined)
    return has_row_RA


def _rows(sizes: Sequence[int]) -> np.ndarray:
    """The numbers of the combined actions' parts, [prod(sizes), P]."""
    starts_P = np.cumsum([0, *sizes[:-1]])
    return np.stack(np.unravel_index(np.arange(prod(sizes)), tuple(sizes)), axis=1) + starts_P
