"""What a start keeps of the session before it, and an end of its own: see runs/last_moment."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputOutputError
from ..runs.directory import LiveRun, LockedRun
from ..runs.last_moment import LastMoment, last_moment_of, read_last_moment


def recall_last_moment(locked: LockedRun) -> LastMoment | None:
    """The counts of the last session; keeps those of a killed one, whose counters are about to be swept.

    A session that was killed before it counted leaves those of the session before it.
    """
    if locked.former is not None:
        locked.remember(last_moment_of(Path(locked.former.runtime_directory), locked.last))
    return locked.last


@contextmanager
def counted_session(locked: LockedRun) -> Iterator[LiveRun]:
    """A runtime directory; at its end the lock file keeps the session's counts, or the former ones if it has none."""
    with locked.runtime() as live:
        try:
            yield live
        finally:
            with suppress(InputOutputError):  # a full disk: the next start tells no losses
                locked.remember(read_last_moment(Path(live.runtime_directory)) or locked.last)
