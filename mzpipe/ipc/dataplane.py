"""The data plane of one run: which segments exist, how large they are, and which process attaches to which.

`PlaneShape` is everything the sizes depend on. The supervisor creates every
segment from it and saves it; each role reads it back and attaches, so no two
processes can disagree on a layout.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ..errors import InputOutputError
from ..reading import read_file
from .control import StopWord
from .counters import BY_NAME, Counters, sums
from .doorbell import Doorbell
from .errorlog import ErrorLog
from .lane import LaneClient, LaneServer
from .pods import PodRow
from .ring import Ring
from .roles import Role
from .schema import BatchSlot, FreshTargets, Positions, Priorities, Trajectory
from .segments import Segments
from .shape import Member, PlaneShape
from .stages import Stage, StageClock, StageReading, last_stage
from .trace import Trace, TraceWriter

SHAPE_FILE = "shape.json"
_MAX_SHAPE_BYTES = 1 << 24


class DataPlane:
    """Every segment of a run, mapped on first use.

    Owns    nothing: the files belong to the supervisor, which removes their directory.
    """

    def __init__(self, directory: Path, shape: PlaneShape) -> None:
        self.directory, self.shape = directory, shape
        self._segments = Segments(directory, shape.segments())
        self._clocks: dict[Member, StageClock] = {}
        self._writers: dict[Member, TraceWriter] = {}
        self._indices = {member: index for index, member in enumerate(shape.members())}
        if shape.is_pod:  # where actors and reanalyzers look for the learner and the replay server
            row = self._indices[Member(Role.UPLINK, 0)]
            self._indices |= dict.fromkeys((Member(Role.LEARNER, 0), Member(Role.REPLAY, 0)), row)

    @classmethod
    def create(cls, directory: Path, shape: PlaneShape) -> "DataPlane":
        """Reserves and maps every segment in an existing 0700 directory; raises PlanError when one does not fit."""
        plane = cls(directory, shape)
        plane._segments.create()
        draft = directory / f".{SHAPE_FILE}.new"  # a process that joins finds the whole file, or none yet
        draft.write_text(json.dumps(dataclasses.asdict(shape)))
        draft.replace(directory / SHAPE_FILE)
        return plane

    @classmethod
    def attach(cls, directory: Path) -> "DataPlane":
        """The data plane whose shape is saved in `directory`."""
        try:
            data = read_file(directory / SHAPE_FILE, _MAX_SHAPE_BYTES)
            shape = TypeAdapter(PlaneShape).validate_json(data, strict=True)
            shape.check()
            return cls(directory, shape)
        except InputOutputError as error:
            raise InputOutputError(f"{error}: no run to join") from None
        except (ValueError, TypeError, ArithmeticError) as error:
            what = _first_line(error)
            raise InputOutputError(f"{directory / SHAPE_FILE}: no run to join: {what}") from None

    def index(self, member: Member) -> int:
        """Row of a process in doorbells, counters and errors; raises KeyError for a process that is not of this run."""
        return self._indices[member]

    def stop_word(self) -> StopWord:
        """The run's stop word."""
        return StopWord(self._segments.arrays("stop")["words"])

    def doorbell(self, member: Member) -> Doorbell:
        """A process's doorbell."""
        return Doorbell(self._segments.arrays("doorbells")["words"], self.index(member))

    def counters(self, member: Member) -> Counters:
        """A process's counters."""
        return Counters(self._segments.arrays("counters")["words"], self.index(member))

    def total(self, name: str) -> int:
        """Sum of a counter's words over all processes that keep it."""
        keepers = [member for member in self.shape.members() if member.role in BY_NAME[name].roles]
        return sum(self.counters(member).get(name) for member in keepers)

    def sums(self) -> dict[str, float]:
        """Every counter that adds up, over all processes that keep it, in its unit."""
        return sums(self._segments.arrays("counters")["words"], [member.role for member in self.shape.members()])

    def stage_clock(self, member: Member) -> StageClock:
        """A process's stage clock; every call in this process returns the same one."""
        if member not in self._clocks:
            words = self._segments.arrays("stages")["words"]
            self._clocks[member] = StageClock(words, self.index(member), trace=self.trace_writer(member))
        return self._clocks[member]

    def trace_writer(self, member: Member) -> TraceWriter | None:
        """A process's row of the trace, the same one on every call in this process; None without a trace."""
        if self.shape.trace_events and member not in self._writers:
            self._writers[member] = TraceWriter(self._segments.arrays("trace"), self.index(member))
        return self._writers.get(member)

    def trace(self) -> Trace:
        """The trace; only for a run that has one."""
        return Trace(self._segments.arrays("trace"))

    def read_stages(self) -> StageReading:
        """How every process has spent its time so far; rows in members' order."""
        return StageReading(self._segments.arrays("stages")["words"])

    def last_stage(self, member: Member) -> Stage | None:
        """The stage that a process ended last; None before the first one."""
        return last_stage(self._segments.arrays("stages")["words"], self.index(member))

    def errors(self, member: Member) -> ErrorLog:
        """A process's error log."""
        return ErrorLog(self._segments.arrays("errors")["words"], self.index(member))

    def weights(self) -> dict[str, np.ndarray]:
        """Arrays of the weights segment."""
        return self._segments.arrays("weights")

    def diagnostics(self) -> dict[str, np.ndarray]:
        """Arrays of the diagnostics segment."""
        return self._segments.arrays("diagnostics")

    def lane_clients(self, member: Member) -> list[LaneClient]:
        """The lanes that a process owns, attached."""
        server, lanes = self.shape.lanes_of(member)
        block, bell = self._segments.arrays(f"lanes-{server}"), self.doorbell(Member(Role.INFERENCE, server))
        trace, first = self.trace_writer(member), self.shape.first_lane(server)
        return [LaneClient(block, lane, bell, self.index(member), trace, first + lane) for lane in lanes]

    def lane_server(self, server: int) -> LaneServer:
        """All lanes of one inference server."""
        block, words = self._segments.arrays(f"lanes-{server}"), self._segments.arrays("doorbells")["words"]
        return LaneServer(
            block, words, self.trace_writer(Member(Role.INFERENCE, server)), self.shape.first_lane(server)
        )

    def release_lanes(self, member: Member) -> None:
        """Releases the weights that a process's lanes hold; for the supervisor, once the process is reaped."""
        server, lanes = self.shape.lanes_of(member)
        self._segments.arrays(f"lanes-{server}")["attached"][lanes] = 0

    def trajectory_ring(self, actor: int) -> Ring[Trajectory]:
        """The ring to the replay server from one of `shape.trajectory_writers()`."""
        return self._segments.ring(f"trajectory-{actor}", Trajectory)

    def pod_row(self, pod: int) -> PodRow:
        """What is known of one pod."""
        return PodRow(self._segments.arrays("pods"), pod)

    def batch_ring(self, rank: int) -> Ring[BatchSlot]:
        """The ring from the replay server to one learner rank."""
        return self._segments.ring(f"batch-{rank}", BatchSlot)

    def priority_ring(self, rank: int) -> Ring[Priorities]:
        """The ring from one learner rank to the replay server."""
        return self._segments.ring(f"priority-{rank}", Priorities)

    def position_ring(self, reanalyzer: int) -> Ring[Positions]:
        """The ring from the replay server to one of `shape.position_readers()`."""
        return self._segments.ring(f"position-{reanalyzer}", Positions)

    def target_ring(self, reanalyzer: int) -> Ring[FreshTargets]:
        """The ring to the replay server from one of `shape.position_readers()`."""
        return self._segments.ring(f"target-{reanalyzer}", FreshTargets)


def _first_line(error: Exception) -> str:
    """An error in one line; pydantic's have several."""
    if isinstance(error, ValidationError):
        (first, *_) = error.errors(include_url=False, include_context=False)
        return f"{'.'.join(map(str, first['loc']))[:60]}: {first['msg'][:100]}"
    return str(error).partition("\n")[0][:160]
