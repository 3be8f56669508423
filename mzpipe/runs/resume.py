"""Decides which checkpoint a run resumes from: the one that `latest` names, or else the newest whole step_N.

The supervisor and every learner rank ask here, so they resume from the same one.
"""

from typing import NamedTuple

from ..errors import CheckpointError
from .checkpoint import LATEST, Checkpoint, CheckpointStore


class ResumePoint(NamedTuple):
    """A whole checkpoint, its directory's name, and why it is not the one that `latest` names (None if it is)."""

    name: str
    checkpoint: Checkpoint
    fault: str | None = None

    @property
    def line(self) -> str:
        """The line for the user if `latest` could not be used."""
        return f"{self.fault}: resuming from {self.name}, the newest whole checkpoint"


def find_resume_point(store: CheckpointStore) -> ResumePoint | None:
    """The checkpoint to resume from; None if none was ever saved.

    Raises CheckpointError if there is a checkpoint, or a pointer to one, but none can be used.
    """
    had_pointer = store.has_entry(LATEST)  # asked first: another rank of the learner may be saving the first checkpoint
    faults = []
    try:
        name = store.pointed(LATEST)
        return ResumePoint(name, store.load(name))
    except CheckpointError as error:
        faults.append(str(error))
    for name in reversed(store.step_names()):
        try:
            return ResumePoint(name, store.load(name), fault=faults[0])
        except CheckpointError as error:
            faults.append(str(error))
    if len(faults) > 1 or had_pointer:
        raise CheckpointError("; ".join(dict.fromkeys(faults[:2])))
    return None
