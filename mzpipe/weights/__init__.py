"""Weights: versions in shared memory, checkpoints on disk."""

from .checkpoint import Checkpoint, CheckpointStore
from .publisher import WeightsPublisher
from .subscriber import PulledWeights, WeightsSubscriber

__all__ = ["Checkpoint", "CheckpointStore", "PulledWeights", "WeightsPublisher", "WeightsSubscriber"]
