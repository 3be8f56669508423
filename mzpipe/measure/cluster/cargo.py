"""What crosses the links of pods, in bytes."""

from typing import NamedTuple

import numpy as np

from ...config import Profile
from ...ipc.columns import nbytes
from ...ipc.schema import FreshTargets, Positions, Trajectory
from ...ipc.shape import PlaneShape

# Headers of IP and TCP in a packet of 1,500 bytes; the bridge's own are smaller than what it leaves out.
_PACKET = 1_500 / 1_448


class Cargo(NamedTuple):
    """Bytes on a link of one transition, one position to search again, its fresh target, and one weights version."""

    transition: float
    position: float
    target: float
    weights: float


def cargo_of(profile: Profile, shape: PlaneShape) -> Cargo:
    """As the layouts have them; frames of bytes are replay.compression_ratio times smaller, as the tier expects."""
    ratio = profile.replay.compression_ratio if np.dtype(shape.frame_dtype).itemsize == 1 else 1.0
    sizes, trees = shape.sizes(), max(1, shape.trees_per_reanalyzer_lane)
    frame = int(np.prod(shape.frame_shape)) * np.dtype(shape.frame_dtype).itemsize
    # Two stacked observations: of the position, and of the one that its value bootstraps from.
    stacks = 2 * frame * shape.frame_stack
    return Cargo(
        transition=_PACKET * (nbytes(Trajectory, sizes) / shape.trajectory_length - frame * (1.0 - 1.0 / ratio)),
        position=_PACKET * (nbytes(Positions, sizes) / trees - stacks * (1.0 - 1.0 / ratio)),
        target=_PACKET * nbytes(FreshTargets, sizes) / trees,
        weights=_PACKET * shape.weights_bytes,
    )
