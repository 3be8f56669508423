"""`top`: reads a run's state from outside, while it is live or after it died; it changes nothing in the run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ..config import load_profile
from ..errors import InputOutputError, UsageError
from ..ipc.dataplane import DataPlane
from ..launch.progress import Onlooking
from ..launch.rehearsal import lacking_devices
from ..runs.directory import RunDirectory, refuse_no_run
from ..runs.scores import read_scores
from ..telemetry import Snapshot
from ..telemetry.gpus import GpuReader, GpuUse
from ..telemetry.rates import Moment, read_moment
from ..telemetry.report import ProfileReport, make_report, whole_report
from ..telemetry.snapshots import SnapshotMaker


@dataclass(frozen=True)
class Look:
    """One look at a run: rates are since the previous look, or over the whole session of a dead run."""

    is_live: bool
    snapshot: Snapshot
    report: ProfileReport
    # The private bytes of each process, and the bytes of all segments, which the processes share.
    private_bytes: Mapping[str, int]
    shared_bytes: int
    # The machine's GPUs by their number in nvidia-smi; none for a dead run.
    gpus: Mapping[str, GpuUse] = field(default_factory=dict)


class Onlooker:
    """Attaches to one session of a run; it only reads, so the run is not affected."""

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
            raise UsageError(f"{run.path}: not live, and its last state is gone: {runtime} was removed") from None
        self._snapshots = SnapshotMaker(load_profile(run.profile), self._plane)
        self._former: Moment | None = None
        self._onlooking = Onlooking(self._plane)
        self._gpus = GpuReader()
        self._lacking = lacking_devices(runtime)
        # Rates need an earlier moment; and pages mapped now can still be read after the run has ended.
        self._snapshots.make("")

    def look(self) -> Look | None:
        """The state of the run, with rates since the last look; None at the first look at a live run."""
        is_live, now = self._is_live(), read_moment(self._plane)
        former, self._former = self._former, now
        cores, hindrances = len(os.sched_getaffinity(0)), self._onlooking.look() if is_live else []
        if not is_live:
            report = whole_report(now, cores, lacking=self._lacking)
            self._snapshots.from_the_start()
        elif former is None:
            return None
        else:
            report = make_report(former, now, cores, lacking=self._lacking, hindrances=hindrances)
        scores = read_scores(self._run.scores)
        self._snapshots.evaluation = scores[-1] if scores else None
        return Look(
            is_live=is_live,
            snapshot=self._snapshots.make("training" if is_live else "dead"),
            report=report,
            private_bytes=self._private_bytes() if is_live else {},
            shared_bytes=sum(self._plane.shape.segment_bytes().values()),
            gpus=self._gpus.read() if is_live else {},
        )

    def _is_live(self) -> bool:
        """Whether the attached session is live; a later session of the same run does not count."""
        try:
            return self._run.is_held() and self._run.live() == self._session
        except UsageError:
            return False  # it has ended, and its lock already shows this

    def _private_bytes(self) -> dict[str, int]:
        members = self._plane.shape.members()
        sizes = {member.identity: _private_bytes(self._plane.counters(member).get("pid")) for member in members}
        return {identity: size for identity, size in sizes.items() if size is not None}


def _private_bytes(pid: int) -> int | None:
    """The bytes of a process's resident pages that belong to no file or segment; None if it has ended."""
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return None
    return memory.rss - memory.shared
