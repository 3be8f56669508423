"""A role's program: joins a run that is being launched or is already running.

Run as `python -m mzpipe.launch.join ROLE INDEX RUN [PARENT_PID]`: the supervisor
gives its own pid; a person who starts the role by hand gives none.
"""

import math
import os
import sys
import time
from pathlib import Path

import psutil

from ..config import load_profile
from ..errors import MzpipeError, UsageError
from ..ipc.control import RoleSocket
from ..ipc.dataplane import DataPlane
from ..ipc.messages import Hello, Welcome
from ..ipc.roles import Role
from ..ipc.segment import LAYOUT_VERSION
from ..ipc.shape import Member
from ..runs.directory import LiveRun, RunDirectory
from ..runtime.agent import StopView, report, run_agent
from ..runtime.context import RoleContext
from ..runtime.idle import IdleStrategy
from ..runtime.output import lasting_output
from ..runtime.process import end_process, follow_supervisor, write_stacks_on_signal
from .rehearsal import read_prepared
from .roles import STOP_STAGES, make_agent

SOCKET_FILE = "control"
_WELCOME_TIMEOUT_S = 10.0


def join_run(member: Member, path: Path, parent_pid: int | None) -> int:
    """Runs one role until the run stops; returns its exit code."""
    run = RunDirectory(path)
    live = run.live()
    profile = load_profile(run.profile)
    if parent_pid is None and profile.topology.external != member.role:
        raise UsageError(
            f"{member.identity}: the supervisor (pid {live.pid}) starts this role itself: "
            f"start the run with --set topology.external={member.role}"
        )
    runtime = Path(live.runtime_directory)
    follow_supervisor(runtime, parent_pid)
    plane = DataPlane.attach(runtime)
    if member not in plane.shape.members():
        known = ", ".join(each.identity for each in plane.shape.members())
        raise UsageError(f"{member.identity}: not a process of this run; there are: {known}")
    if parent_pid is None:
        _refuse_second(plane.counters(member).get("pid"), member)
    control = RoleSocket(runtime / SOCKET_FILE, member.identity)
    try:
        epoch = introduce(control, live, member, None if parent_pid else _WELCOME_TIMEOUT_S)
        device = read_prepared(runtime).devices.of(member)
        return _run(RoleContext(profile, plane, member, run.storage, device, control, epoch))
    finally:
        control.close()


def _refuse_second(pid: int, member: Member) -> None:
    """Refuses a second process of the same name: it would take the first one's place on the supervisor's socket."""
    if pid and psutil.pid_exists(pid):
        raise UsageError(f"{member.identity}: already running as pid {pid}: give another --index")


def _run(context: RoleContext) -> int:
    member, plane, control = context.member, context.plane, context.control
    errors = plane.errors(member)
    try:
        agent = make_agent(context)
    except Exception as error:  # a process boundary: the supervisor is told, as of any other failure
        return report(error, member.role, control, errors)
    return run_agent(
        agent,
        control=control,
        stop=StopView(plane.stop_word(), STOP_STAGES[member.role]),
        idle=IdleStrategy(plane.doorbell(member)),
        counters=plane.counters(member),
        clock=plane.stage_clock(member),
        errors=errors,
    )


def introduce(control: RoleSocket, live: LiveRun, member: Member, timeout_s: float | None) -> int:
    """Says hello; returns the epoch of the supervisor's welcome.

    Without a time-out it waits for a supervisor that is stopped or late: one that is gone takes this process along.
    """
    control.send(Hello(live.run_id, member.role, member.index, os.getpid(), LAYOUT_VERSION))
    deadline_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
    while (left_s := deadline_s - time.monotonic()) > 0.0:
        control.wait(min(left_s, _WELCOME_TIMEOUT_S))
        for message in control.receive():
            if isinstance(message, Welcome):
                return message.epoch
    raise UsageError(
        f"{member.identity}: the supervisor (pid {live.pid}) did not answer within {timeout_s:.0f} s: "
        "if this process is already running, give another --index"
    )


def main(role: str, index: str, path: str, parent_pid: str | None = None) -> int:
    """Runs the program; an expected error is one line on stderr."""
    write_stacks_on_signal()
    with lasting_output():
        try:
            return join_run(Member(Role(role), int(index)), Path(path), int(parent_pid) if parent_pid else None)
        except MzpipeError as error:
            sys.stderr.write(f"mzpipe-{role}: {error}\n")
            return error.exit_code


if __name__ == "__main__":
    end_process(main(*sys.argv[1:]))
