"""The duty cycle that every role runs: laps of work, and one place that waits."""

import os
import sys
import time
import traceback
from typing import ClassVar

from ..errors import ExitCode, MzpipeError
from ..ipc.calls import LongCall
from ..ipc.control import ControlPort, StopWord
from ..ipc.counters import Counters
from ..ipc.errorlog import ErrorLog
from ..ipc.messages import Failed, Message, Ready
from ..ipc.roles import Role
from ..ipc.stages import StageClock
from .context import RoleContext
from .devices import LOWER, LOWER_ANY, device_error
from .idle import IdleStrategy


class Agent:
    """One role in one process. A lap never blocks, so agents can also be stepped round-robin in one process."""

    role: ClassVar[Role]

    def __init__(self, context: RoleContext) -> None:
        member, plane = context.member, context.plane
        self._profile, self._plane, self._control = context.profile, plane, context.control
        self._member, self._index, self._epoch = member, member.index, context.epoch
        self._counters, self._clock = plane.counters(member), plane.stage_clock(member)

    def on_start(self) -> None:
        """Attaches and allocates; called once, before the first lap."""

    def do_work(self) -> int:
        """Does all work that is possible now and returns how much it did; never waits."""
        raise NotImplementedError

    def on_message(self, message: Message) -> None:
        """Handles one message from the supervisor, between laps."""

    def drain(self) -> bool:
        """Hands over what it still holds, as far as there is room; a role that stops calls it until all is handed over.

        Returns False if some is left.
        """
        return True

    def on_close(self) -> None:
        """Releases everything; called once, however the agent ends after on_start was called."""

    def _in_long_call(self, call: LongCall) -> "InLongCall":
        """Says that what happens inside may take as long as this call may."""
        return InLongCall(self._counters, call)


class InLongCall:
    """Declares a long call while it is entered; it can be entered again and again, as its two stores cost little."""

    def __init__(self, counters: Counters, call: LongCall) -> None:
        self._counters, self._call = counters, call

    def __enter__(self) -> None:
        self._former = self._counters.get("long_call")
        self._counters.set("long_call", self._call)

    def __exit__(self, *_: object) -> None:
        self._counters.set("long_call", self._former)


class StopView:
    """The stop word as one role sees it."""

    def __init__(self, word: StopWord, stop_stage: int) -> None:
        self._word, self._stage = word, stop_stage

    def requested(self) -> bool:
        """Whether this role must stop now."""
        return 0 < self._stage <= self._word.stage()

    def passed(self) -> bool:
        """Whether nobody waits for this role any more: the roles that it feeds stop too."""
        return self._word.stage() > self._stage


def run_agent(
    agent: Agent,
    *,
    control: ControlPort,
    stop: StopView,
    idle: IdleStrategy,
    counters: Counters,
    clock: StageClock,
    errors: ErrorLog,
) -> int:
    """Runs one agent until the supervisor says stop or the agent fails; returns the exit code."""
    start_s = time.monotonic()
    try:
        counters.set("long_call", LongCall.START)
        agent.on_start()
        counters.set("long_call", LongCall.NONE)
        counters.set("pid", os.getpid())
        counters.set("ready", 1)
        control.send(Ready(seconds=time.monotonic() - start_s))
        clock.start()
        while not stop.requested():
            work_count = agent.do_work()
            counters.lap(work_count)
            if idle.control_is_due():
                work_count += deliver(agent, control)
            idle.after(work_count)
            clock.lap(work_count)
        while not (agent.drain() or stop.passed()):
            idle.after(0)
        return ExitCode.FINISHED
    except Exception as error:  # the only catch-all in the package
        return report(error, agent.role, control, errors)
    finally:
        agent.on_close()


def deliver(agent: Agent, control: ControlPort) -> int:
    """Hands the agent what the supervisor sent; returns how many messages."""
    messages = control.receive()
    for message in messages:
        agent.on_message(message)
    return len(messages)


def report(error: Exception, role: Role, control: ControlPort, errors: ErrorLog) -> int:
    """Tells the supervisor of the error that ends this process, and its log of where it was; returns the exit code."""
    errors.record(error)
    message = failure(error, role)
    control.send(message)
    sys.stderr.write(message.traceback)
    return message.exit_code


def failure(error: Exception, role: Role) -> Failed:
    """The message that an agent ends with."""
    error = device_error(error, LOWER.get(role, LOWER_ANY)) or error
    is_known = isinstance(error, MzpipeError)
    exit_code = error.exit_code if isinstance(error, MzpipeError) else ExitCode.INTERNAL
    text = "".join(traceback.format_exception(error))  # the log's last entry may be another error
    return Failed(int(exit_code), summary=f"{type(error).__name__}: {error}", traceback=text, is_known=is_known)


class Turns:
    """Starts after the client that was served last, so that equal demands get equal shares of any amount of room."""

    def __init__(self, count: int) -> None:
        self._count, self._first = count, 0

    def order(self) -> list[int]:
        """The clients' indices, in the order in which to ask them."""
        return [*range(self._first, self._count), *range(self._first)]

    def served(self, index: int) -> None:
        """Says that this client was served: all others come before it in the next order."""
        self._first = (index + 1) % self._count
