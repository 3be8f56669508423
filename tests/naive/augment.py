"""Plain twin of the augmentation: one sample at a time, by padding and cropping."""

import numpy as np


def augmented(image, offset_B2, factor_B):
    """Images [B, ..., Y, X] after these draws."""
    return np.stack([augmented_sample(*each) for each in zip(image, offset_B2, factor_B, strict=True)])


def augmented_sample(image, offset, factor):
    rows, columns = image.shape[-2:]
    border = int(np.abs(offset).max())
    padded = np.pad(image, [(0, 0)] * (image.ndim - 2) + [(border, border)] * 2, mode="edge")
    top, left = border + offset[0], border + offset[1]
    return padded[..., top : top + rows, left : left + columns] * factor
