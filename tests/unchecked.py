"""Checkpoints that the store itself would refuse to write."""

from unittest import mock

from mzpipe.runs import checkpoint as module
from mzpipe.runs.checkpoint import Checkpoint, CheckpointStore


def save_unchecked(store: CheckpointStore, name: str, checkpoint: Checkpoint, *, pointer: str) -> None:
    """Saves a checkpoint as it is, finite and of the right types or not."""
    with mock.patch.object(module, "_check"):
        store.save(name, checkpoint, pointer=pointer)
