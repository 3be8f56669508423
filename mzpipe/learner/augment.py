"""Augmentation: shifts training images by a few pixels and scales their brightness, at random, on their device.

    shifted[b, y, x] = image[b, clamp(y + dy_b), clamp(x + dx_b)],    dy_b, dx_b drawn from -S .. S

This equals padding by S replicated border pixels and cropping at random (Yarats et al. 2021, DrQ). The intensity
1 + I * clamp(N(0, 1), -2, 2) multiplies what was shifted (Schwarzer et al. 2021, SPR). Each sample has one draw for all
its images, as in EfficientZero. Drawing and shifting are separate functions, so that a draw can be checked.

Shape legend    B samples   C images and channels of a sample   Y rows   X columns
Oracle          tests/naive/augment.py
"""

from typing import NamedTuple

import torch
from torch import Tensor

# Normal draws are cut off at this many standard deviations.
_MAX_DEVIATION = 2.0


class Augmentation(NamedTuple):
    """Pixels of the largest shift, and standard deviation of the intensity; 0 leaves either out."""

    shift: int = 0
    intensity: float = 0.0

    def apply(self, image: Tensor) -> Tensor:
        """Floating-point images [B, ..., Y, X] after one new draw per sample; anything unchanged if both are 0."""
        if not any(self):
            return image
        image_BCYX = image.flatten(1, -3)
        if self.shift:
            image_BCYX = shifted(image_BCYX, draw_offsets(len(image), self.shift, image.device))
        if self.intensity:
            factor_B = draw_factors(len(image), self.intensity, image.device)
            image_BCYX = image_BCYX * factor_B.to(image.dtype)[:, None, None, None]
        return image_BCYX.view(image.shape)


def draw_offsets(num_samples: int, shift: int, device: torch.device) -> Tensor:
    """dy and dx of each sample, [B, 2], each from -shift .. shift with equal probability."""
    return torch.randint(-shift, shift + 1, (num_samples, 2), device=device)


def draw_factors(num_samples: int, intensity: float, device: torch.device) -> Tensor:
    """The factor of each sample, [B]."""
    return 1.0 + intensity * torch.randn(num_samples, device=device).clamp(-_MAX_DEVIATION, _MAX_DEVIATION)


def shifted(image_BCYX: Tensor, offset_B2: Tensor) -> Tensor:
    """The images shifted by whole pixels; border pixels are repeated into what was outside."""
    rows, columns = image_BCYX.shape[2:]
    row_BY = _places(rows, offset_B2[:, :1])
    column_BX = _places(columns, offset_B2[:, 1:])
    cell_BN = (row_BY[:, :, None] * columns + column_BX[:, None, :]).flatten(1)
    cell_BCN = cell_BN[:, None].expand(-1, image_BCYX.shape[1], -1)
    return image_BCYX.flatten(2).gather(2, cell_BCN).view(image_BCYX.shape)


def _places(size: int, offset_B1: Tensor) -> Tensor:
    """The place in the image that each place of a shifted axis shows, [B, size]."""
    return (torch.arange(size, device=offset_B1.device) + offset_B1).clamp(0, size - 1)
