"""`top`: looks at a run from outside, while it is live or after it died; attaches, reads, and lets go."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..config import load_profile
from ..errors import InputOutputError, UsageError
from ..ipc.dataplane import DataPlane
from ..runs.directory import RunDirectory, refuse_no_run
from ..runs.scores import read_scores
from ..telemetry import Snapshot
from ..telemetry.rates import Moment, read_moment
from ..telemetry.report import ProfileReport, make_report, whole_report
from ..telemetry.snapshots import SnapshotMaker


@dataclass(frozen=True)
class Look:
    """One look at a run: rates are those since the look before; of a dead run, those of its whole session."""

    is_live: bool
    snapshot: Snapshot
    report: ProfileReport
    # Bytes that are each process's own, and those of all segments, which they share.
    private_bytes: Mapping[str, int]
    shared_bytes: int


class Onlooker:
    """Attached to one session of a run; reads only, so the run does not notice."""

    def __init__(self, run: RunDirectory) -> None:
        """Raises UsageError when there is nothing to look at."""
        refuse_no_run(run.path)
        self._run, self._session = run, run.live()
        runtime = Path(self._session.runtime_directory)
        try:
            self._plane = DataPlane.attach(runtime)
        except InputOutputError:
            if run.is_held():
                raise UsageError(f"{run.path}: is starting: look again once its processes are ready") from None
            raise UsageError(f"{run.path}: not live, and its last moment is gone: {runtime} was swept") from None
        self._snapshots = SnapshotMaker(load_profile(run.profile), self._plane)
        self._former: Moment | None = None
        # Rates need a moment before; and what is mapped now can still be read when the run has ended.
        self._snapshots.make("")

    def look(self) -> Look | None:
        """What has happened since the last look; None at the first one of a live run, which has none before it."""
        is_live, now = self._is_live(), read_moment(self._plane)
        former, self._former = self._former, now
        cores = len(os.sched_getaffinity(0))
        if not is_live:
            report = whole_report(now, cores)
            self._snapshots.from_the_start()
        elif former is None:
            return None
        else:
            report = make_report(former, now, cores)
        scores = read_scores(self._run.scores)
        self._snapshots.evaluation = scores[-1] if scores else None
        return Look(
            is_live=is_live,
            snapshot=self._snapshots.make("training" if is_live else "dead"),
            report=report,
            private_bytes=self._private_bytes() if is_live else {},
            shared_bytes=sum(self._plane.shape.segment_bytes().values()),
        )

    def _is_live(self) -> bool:
        """Whether the session that this looks at goes on; another one of the same run is another's business."""
        try:
            return self._run.is_held() and self._run.live() == self._session
        except UsageError:
            return False  # it has ended, and its lock says so already

    def _private_bytes(self) -> dict[str, int]:
        members = self._plane.shape.members()
        sizes = {member.identity: _private_bytes(self._plane.counters(member).get("pid")) for member in members}
        return {identity: size for identity, size in sizes.items() if size is not None}


def _private_bytes(pid: int) -> int | None:
    """Resident pages of a process that no file or segment stands behind."""
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return None
    return memory.rss - memory.shared
