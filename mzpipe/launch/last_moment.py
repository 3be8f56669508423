"""The counts of a run's last session at its end, also if it was killed: what it had played and what of that is lost.

A killed session leaves its counters in /dev/shm, where the next start reads them before it sweeps. Any other end writes
its counts into RUN/run.lock, where they stay until another session has counted.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputOutputError, MzpipeError
from ..ipc.dataplane import SHAPE_FILE, DataPlane
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..runs.directory import LastMoment, LiveRun, LockedRun


def read_last_moment(live: LiveRun) -> LastMoment | None:
    """The counts of a session from its counters; None if they are gone, or another version's."""
    try:
        plane = DataPlane.attach(Path(live.runtime_directory))
        replay, env_steps = plane.counters(Member(Role.REPLAY, 0)), plane.total(Role.ACTOR, "env_steps")
    except MzpipeError:
        return None  # the machine was restarted, its /dev/shm was swept, or the session had not begun
    played = env_steps - replay.get("former_env_steps")
    taken_in = replay.get("inserted") - replay.get("former_inserted") + replay.get("refused")
    learner_steps = plane.total(Role.LEARNER, "learner_steps")
    return LastMoment(env_steps, replay.get("inserted"), learner_steps, max(0, played - taken_in))


def recall_last_moment(locked: LockedRun) -> LastMoment | None:
    """The counts of the last session; keeps those of a killed one, whose counters are about to be swept.

    A session that was killed before it counted leaves those of the session before it.
    """
    if locked.former is not None and _has_counted(locked.former, locked.last):
        locked.remember(read_last_moment(locked.former))
    return locked.last


def _has_counted(live: LiveRun, before: LastMoment | None) -> bool:
    """Whether a session may have counted anything: a data plane begins with the counts of the session before it."""
    runtime = Path(live.runtime_directory)
    if not (runtime / SHAPE_FILE).exists():
        return not runtime.is_dir()  # swept: what it had counted is unknown
    counts = read_last_moment(live)
    return counts is None or before is None or counts.env_steps >= before.env_steps


@contextmanager
def counted_session(locked: LockedRun) -> Iterator[LiveRun]:
    """A runtime directory; at its end the lock file keeps the session's counts, or the former ones if it has none."""
    with locked.runtime() as live:
        try:
            yield live
        finally:
            with suppress(InputOutputError):  # a full disk: the next start tells no losses
                locked.remember(read_last_moment(live) or locked.last)
