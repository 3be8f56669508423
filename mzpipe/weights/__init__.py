"""Weights: versions in shared memory, checkpoints on disk."""

from ..ipc.weights import PulledWeights, WeightsPublisher, WeightsSubscriber
from .checkpoint import BEST, LATEST, Checkpoint, CheckpointStore, step_name
from .resume import ResumePoint, find_resume_point

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
