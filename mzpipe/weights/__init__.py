"""Weights: versions in shared memory, checkpoints on disk."""

from .checkpoint import BEST, LATEST, Checkpoint, CheckpointStore, step_name
from .publisher import WeightsPublisher
from .resume import ResumePoint, find_resume_point
from .subscriber import PulledWeights, WeightsSubscriber

__all__ = [
    "BEST",
    "LATEST",
    "Checkpoint",
    "CheckpointStore",
    "PulledWeights",
    "ResumePoint",
    "WeightsPublisher",
    "WeightsSubscriber",
    "find_resume_point",
    "step_name",
]
