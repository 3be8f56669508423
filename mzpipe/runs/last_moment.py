"""The counts of a run's last session at its end, also if it was killed: what it had played and what of that is lost.

A killed session leaves its counters in /dev/shm. Whoever sweeps them, a start of this run or any other process of
mzpipe, first writes their counts into RUN/run.lock, where they stay until another session has counted.
"""

from pathlib import Path
from typing import NamedTuple

from ..errors import MzpipeError


class LastMoment(NamedTuple):
    """The counts of a session at its end: moves, stored transitions and training steps of all sessions so far.

    `in_flight`: transitions that this session had played but that had not reached the table, in actors or in rings.
    """

    env_steps: int
    inserted: int
    learner_steps: int
    in_flight: int


def read_last_moment(runtime: Path) -> LastMoment | None:
    """The counts of a session from its counters; None if they are gone, or another version's."""
    from ..ipc.dataplane import DataPlane  # the data plane loads the compiler, which a sweep seldom needs
    from ..ipc.roles import Role
    from ..ipc.shape import Member

    try:
        plane = DataPlane.attach(runtime)
        replay, env_steps = plane.counters(Member(Role.REPLAY, 0)), plane.total("env_steps")
    except MzpipeError:
        return None  # the machine was restarted, its /dev/shm was swept, or the session had not begun
    played = env_steps - replay.get("former_env_steps")
    taken_in = replay.get("inserted") - replay.get("former_inserted") + replay.get("refused")
    learner_steps = plane.total("learner_steps")
    return LastMoment(env_steps, replay.get("inserted"), learner_steps, max(0, played - taken_in))


def last_moment_of(runtime: Path, before: LastMoment | None) -> LastMoment | None:
    """The counts of a killed session, or those before it if it was killed before it had counted; None: unknown."""
    from ..ipc.dataplane import SHAPE_FILE

    if not (runtime / SHAPE_FILE).exists():
        return before if runtime.is_dir() else None
    counts = read_last_moment(runtime)
    # A data plane begins with the counts of the session before it.
    has_counted = counts is None or before is None or counts.env_steps >= before.env_steps
    return counts if has_counted else before
