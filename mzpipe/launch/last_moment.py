"""LastMoment: what the counters of a session that was killed say; they outlive its processes in /dev/shm."""

from pathlib import Path
from typing import NamedTuple

from ..errors import MzpipeError
from ..ipc.dataplane import DataPlane
from ..ipc.shape import Member
from .run_directory import LiveRun


class LastMoment(NamedTuple):
    """Counts at the moment of a kill."""

    env_steps: int
    inserted: int

    @property
    def in_flight(self) -> int:
        """Transitions that were played and had not reached the table: in actors' hands, or in rings."""
        return max(0, self.env_steps - self.inserted)


def read_last_moment(former: LiveRun | None) -> LastMoment | None:
    """The counters that a killed session has left, before they are swept; None where there are none."""
    if former is None:
        return None
    try:
        plane = DataPlane.attach(Path(former.runtime_directory))
        inserted = plane.counters(Member("replay", 0)).get("inserted")
        return LastMoment(plane.total("actor", "env_steps"), inserted)
    except MzpipeError:
        return None  # the machine was started again, or its /dev/shm was swept
