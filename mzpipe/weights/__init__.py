"""Weights: versions in shared memory, checkpoints on disk."""

from .checkpoint import BEST, LATEST, Checkpoint, CheckpointStore, step_name
from .publisher import WeightsPublisher
from .subscriber import PulledWeights, WeightsSubscriber

__all__ = [
    "BEST",
    "LATEST",
    "Checkpoint",
    "CheckpointStore",
    "PulledWeights",
    "WeightsPublisher",
    "WeightsSubscriber",
    "step_name",
]
