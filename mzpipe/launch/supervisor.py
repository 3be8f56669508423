"""The supervisor: starts every process of a run, watches them, restarts those that may be, and stops sources first.

Reads   counters, error logs, control messages, pidfds, signals
Writes  the stop word, scores, TensorBoard, the terminal
Owns    the run directory's lock, the runtime directory and every segment in it
"""

import os
import signal
from pathlib import Path

import zmq

from ..errors import ExitCode, MessageError, MzpipeError
from ..ipc.control import SupervisorSocket
from ..ipc.dataplane import DataPlane
from ..ipc.messages import (
    CheckpointSaved,
    Evaluated,
    Failed,
    Hello,
    Message,
    Note,
    NotSaved,
    Ready,
    RunEnded,
    SaveCheckpoint,
    Welcome,
)
from ..ipc.roles import Role
from ..ipc.segment import LAYOUT_VERSION
from ..runs.checkpoint import LATEST, CheckpointStore
from ..runs.directory import LiveRun, RunDirectory
from ..runtime.attended import AttendedClock
from ..runtime.process import describe_exit, make_death_pipe
from ..telemetry import View
from ..telemetry.loggers import Loggers
from ..telemetry.reports import Reached, Reporting, Reports
from .ending import Ending, Patience
from .join import SOCKET_FILE
from .placing import Placing
from .plan import Plan
from .roles import LAST_STAGE, SEARCHING_ROLES, STOP_STAGES
from .roster import Entry, Roster, State
from .signals import Outcome, PauseSignal, SignalPipe, Watch, signal_outcome, solved
from .silence import STACKS, SilenceKeeper, pause_run

_TICK_MS = 200
# A turn that takes longer than this is an absence: of it, no more than this counts for anybody's limit.
_LONGEST_TURN_S = 1.0
_LAST_WORDS_MS = 50
_FIRST_STAGE = 1
# A stop takes at most the sum of these, and the checkpoint in between (ending.py).
_SOURCES_STOP_S, _REST_STOP_S = 2.0, 2.5
_SECOND_CTRL_C_STOP_S = 1.0
_REFUSALS_SHOWN, _REFUSAL_CHARACTERS = 3, 200


class Supervisor:
    """Runs one planned run from start to stop."""

    def __init__(
        self,
        plan: Plan,
        run: RunDirectory,
        live: LiveRun,
        view: View,
        signals: SignalPipe,
        reached: Reached,
        watch: Watch | None = None,
        loggers: Loggers | None = None,
        pods: Placing | None = None,
    ) -> None:
        self._profile, self._run, self._live, self._view = plan.profile, run, live, view
        self._signals, self._watch, self._pods = signals, watch, pods
        runtime = Path(live.runtime_directory)
        self._plane = DataPlane.create(runtime, plan.shape)
        self._stop_word = self._plane.stop_word()
        self._death_pipe = make_death_pipe(runtime)
        self._clock = AttendedClock(_LONGEST_TURN_S)
        self._socket = SupervisorSocket(runtime / SOCKET_FILE)
        self._roster = Roster(plan.shape.members(), self._profile, run.path, run.logs, view.line, self._clock.now_s)
        self._reports = self._make_reports(reached, loggers)
        silence_s = self._profile.topology.silence_s
        self._silences = SilenceKeeper(self._plane, self._roster, run.logs, view, silence_s, self._clock)
        self._outcome: Outcome | None = None
        self._saved_request = 0
        self._stopping = self._killing = False
        self._hurried_s: float | None = None
        self._ending = Ending()
        self._refused = 0

    def _make_reports(self, reached: Reached, loggers: Loggers | None) -> Reporting:
        return Reports(self._profile, self._plane, self._run, self._view, reached, self._clock.now_s, loggers)

    def run(self) -> Outcome:
        """Runs everything from the first process to the last; returns how it ended."""
        try:
            with PauseSignal() as pause:
                outcome = self._run_until_outcome(pause)
            outcome = self._stop(outcome)
            # A watcher starts another run after this one, unless a signal says otherwise.
            return (signal_outcome(self._signals) if self._watch else None) or outcome
        finally:
            self._kill_rest()
            self._socket.close()
            self._reports.close()
            os.close(self._death_pipe)

    def _run_until_outcome(self, pause: PauseSignal) -> Outcome:
        """Runs until something ends the run."""
        self._start_all()
        while self._outcome is None:
            self._turn(_TICK_MS)
            if self._outcome is None:  # else the process whose death ends the run would be started again first
                self._restart_due()
            self._check_signals()
            self._silences.look()
            self._report()
            if pause.take():
                self._pause()
        return self._outcome

    def _pause(self) -> None:
        self._view.line("paused, with every process of the run: SIGCONT (`fg` or `bg` in a shell) goes on")
        self._clock.leave(lambda: pause_run(self._roster))
        self._view.line("the run goes on")

    def _start_all(self) -> None:
        for entry in self._roster.entries:
            if self._roster.is_external(entry):
                member = entry.member
                self._view.line(f"waiting for: mzpipe-{member.role} {self._run.path} --index {member.index}")
            else:
                self._roster.start(entry)

    # One turn: sleep until something happens, then take it in.

    def _turn(self, timeout_ms: int) -> None:
        poller = zmq.Poller()
        poller.register(self._socket.socket, zmq.POLLIN)
        poller.register(self._signals.descriptor, zmq.POLLIN)
        watched = {entry.pidfd: entry for entry in self._roster.alive() if entry.pidfd is not None}
        for pidfd in watched:
            poller.register(pidfd, zmq.POLLIN)
        events = dict(poller.poll(timeout_ms))
        self._receive()
        for pidfd, entry in watched.items():
            if pidfd in events:
                self._hear_last_words(entry)
                self._bury(entry)

    def _hear_last_words(self, entry: Entry) -> None:
        """Receives the last messages of a process that has ended: they may still be on their way.

        One that was killed does not say why, so nobody waits for that.
        """
        self._receive()
        if entry.failed is not None or self._stopping or (entry.child is not None and entry.child.was_killed()):
            return
        if self._socket.socket.poll(_LAST_WORDS_MS):
            self._receive()

    def _receive(self) -> None:
        for identity, message in self._socket.receive():
            if isinstance(message, MessageError):
                self._refuse(identity, message)
            else:
                self._handle(identity, message)

    def _refuse(self, identity: str, error: MessageError) -> None:
        """Drops an invalid control message, so no mistake on the socket ends the run; shows only the first few."""
        self._refused += 1
        if self._refused <= _REFUSALS_SHOWN:
            rest = "; further ones are not shown" if self._refused == _REFUSALS_SHOWN else ""
            self._view.line(f"{identity!r}: a control message is refused: {str(error)[:_REFUSAL_CHARACTERS]}{rest}")

    def _handle(self, identity: str, message: Message) -> None:
        known = {entry.member.identity for entry in self._roster.entries}
        if identity not in known:
            return
        entry = self._roster[identity]
        match message:
            case Hello():
                self._welcome(entry, message)
            case Ready() if entry.state is State.STARTED:  # it may have died since it said so
                entry.state = State.READY
                self._announce_ready()
            case Failed():
                entry.failed = message
            case Evaluated():
                self._take_evaluation(message)
            case CheckpointSaved():
                self._saved_request = max(self._saved_request, message.request_id)  # 0: by its own interval
            case NotSaved():
                self._saved_request = max(self._saved_request, message.request_id)
                self._ending.not_saved(message)
            case RunEnded():
                self._outcome = self._outcome or Outcome(ExitCode.FINISHED, message.reason)
            case Note():
                self._view.line(f"{identity}: {message.text}")

    def _welcome(self, entry: Entry, hello: Hello) -> None:
        if hello.run_id != self._live.run_id or hello.layout_version != LAYOUT_VERSION:
            return
        if self._roster.is_external(entry) and entry.pidfd is None:
            if not self._roster.adopt(entry, hello.pid):
                return
        elif entry.pid != hello.pid:
            return
        self._socket.send(entry.member.identity, Welcome(epoch=entry.starts - 1))

    def _announce_ready(self) -> None:
        if all(entry.state is State.READY and entry.starts == 1 for entry in self._roster.entries):
            self._view.line(f"all {len(self._roster.entries)} processes are ready")

    # Deaths.

    def _bury(self, entry: Entry) -> None:
        pid = entry.pid
        was_ready = entry.state is State.READY
        code = self._roster.reap(entry)
        member = entry.member
        if member.role in SEARCHING_ROLES:
            self._plane.release_lanes(member)
        entry.failed = entry.failed or self._logged_failure(entry, code)
        cause = entry.silence if entry.silence and code == -signal.SIGKILL else describe_exit(code)
        what = f"{member.identity}{f' (pid {pid})' if pid else ''} {cause}"
        if self._stopping and code and not self._killing:
            self._miss(entry, what)
        if self._stopping or self._outcome is not None:
            return
        if self._roster.is_external(entry):
            self._view.line(f"{what}: waiting for it to be started by hand again")
        elif not self._outlives(member.role, code, was_ready):
            self._fail(entry, what)
        elif member.role == Role.LEARNER:
            self._restart_ranks(entry, what)
        else:
            self._restart_later(entry, what)

    def _logged_failure(self, entry: Entry, code: int | None) -> Failed | None:
        """What the error log says of an end whose message did not arrive."""
        errors = self._plane.errors(entry.member).read()
        if not errors or code is None or code <= 0:
            return None
        text = errors[-1].text
        summary = text.rstrip().rpartition("\n")[2].removeprefix(f"{MzpipeError.__module__}.")
        return Failed(code, summary, text, is_known=code != ExitCode.INTERNAL)

    def _outlives(self, role: Role, code: int | None, was_ready: bool) -> bool:
        """Whether the run outlives this death: the process was killed, or it failed after it had been ready.

        A device that is full or lost stays so, and the only rank of the learner fails again on the same state. One of
        several ranks may have failed for a dead peer, unless one of them ended with a known error, which it would meet
        again. Without a journal the replay server's table is only in its memory. An uplink that fails has lost the run.
        """
        replay = self._profile.replay
        if role == Role.REPLAY and not (replay.journal or replay.source):
            return False
        if code is not None and code < 0:
            return True
        if role == Role.UPLINK or (role == Role.LEARNER and not self._may_be_the_peer()):
            return False
        return was_ready and code != ExitCode.DEVICE

    def _may_be_the_peer(self) -> bool:
        """Whether a rank that failed may have done so because another one was dead."""
        ranks = [self._roster[member.identity] for member in self._plane.shape.learners()]
        return len(ranks) > 1 and not any(rank.failed is not None and rank.failed.is_known for rank in ranks)

    def _restart_ranks(self, entry: Entry, what: str) -> None:
        """Stops all ranks, which resume together from the latest checkpoint; shows only the first death."""
        peers = [each for each in self._roster.entries if each.member.role == Role.LEARNER and each is not entry]
        is_first = not any(peer.state is State.DEAD for peer in peers)
        for peer in peers:
            if peer.child is not None:
                peer.child.signal(signal.SIGKILL)
        if not self._roster.schedule_restart(entry):
            self._fail(entry, f"{what} once too often")
        elif is_first:
            self._view.line(f"{what}: training resumes from the latest checkpoint")

    def _restart_later(self, entry: Entry, what: str) -> None:
        if self._roster.schedule_restart(entry):
            why = f": {entry.failed.summary}" if entry.failed else ""
            self._view.line(f"{what}{why}: it is started again")
            return
        others = [each for each in self._roster.entries if each.member.role == Role.ACTOR and each.pidfd is not None]
        if entry.member.role == Role.ACTOR and others:
            self._view.line(f"{what} once too often: the run continues without it")
            return
        self._fail(entry, f"{what} once too often")

    def _restart_due(self) -> None:
        for entry in self._roster.due_restarts():
            self._plane.counters(entry.member).add("restarts")
            self._roster.start(entry)

    def _fail(self, entry: Entry, what: str) -> None:
        failed = entry.failed
        log = self._run.logs / f"{entry.member.identity}.log"
        if failed is not None and failed.is_known:
            self._outcome = Outcome(ExitCode(failed.exit_code), f"{what}: {failed.summary}")
            return
        traceback = failed.traceback if failed else ""
        reason = f"{what}: {failed.summary if failed else f'see {log}'}"
        code = ExitCode(failed.exit_code) if failed else ExitCode.INTERNAL
        self._outcome = Outcome(code, reason, traceback or _tail(log))

    # Progress.

    def _take_evaluation(self, message: Evaluated) -> None:
        self._reports.evaluation(message)
        self._outcome = self._outcome or solved(self._profile, message)

    def _check_signals(self) -> None:
        self._outcome = self._outcome or signal_outcome(self._signals)

    def _report(self) -> None:
        self._reports.tick(self._note)
        if self._pods is not None:
            self._pods.look()
        limit = self._reports.limit_reached() or (self._watch(self._plane) if self._watch else None)
        if limit is not None and self._outcome is None:
            self._outcome = Outcome(ExitCode.FINISHED, limit)

    def _note(self) -> str | None:
        waiting = (State.ABSENT, State.STARTED, State.DEAD)
        starting = [entry.member.identity for entry in self._roster.entries if entry.state in waiting]
        return f"starting {', '.join(starting)}" if starting else self._silences.note or None

    # The stop: sources first, then a checkpoint, then the rest.

    def _stop(self, outcome: Outcome) -> Outcome:
        self._stopping = True
        self._reports.stopping()
        self._ending.cause = outcome
        self._view.line(f"stopping: {outcome.reason}")
        self._stop_sources()
        self._save_checkpoint()
        self._raise_stage(LAST_STAGE)
        self._wait_for_end(self._clock.now_s() + _REST_STOP_S)
        for entry in self._roster.alive():
            if entry.child is not None:
                self._miss(entry, f"{entry.member.identity} (pid {entry.pid}) has not ended and is killed")
        return self._ending.outcome()

    def _stop_sources(self) -> None:
        self._raise_stage(_FIRST_STAGE)
        self._wait_for_end(self._clock.now_s() + _SOURCES_STOP_S, up_to_stage=_FIRST_STAGE)

    def _miss(self, entry: Entry, what: str) -> None:
        """Says that a process did not end as it should; without the replay server's end its journal lacks its last."""
        what = f"{what}: {entry.failed.summary}" if entry.failed else what
        self._view.line(f"at the stop {what}")
        if entry.member.role == Role.REPLAY and self._profile.replay.journal:
            code = entry.failed.exit_code if entry.failed else ExitCode.INTERNAL
            self._ending.fault(code, f"at the stop {what}: the end of the journal may be missing")

    def _raise_stage(self, stage: int) -> None:
        self._stop_word.raise_to(stage)
        for entry in self._roster.alive():
            self._plane.doorbell(entry.member).ring()

    def _wait_for_end(self, deadline_s: float, up_to_stage: int = LAST_STAGE) -> None:
        while any(STOP_STAGES[entry.member.role] <= up_to_stage for entry in self._roster.alive()):
            if not self._turn_until(deadline_s):
                return

    def _save_checkpoint(self) -> None:
        """Asks for a checkpoint and waits for it as long as the learner works; records why none has come."""
        learner = self._roster["learner-0"]
        if learner.state is State.READY and self._socket.send("learner-0", SaveCheckpoint(request_id=1)):
            self._plane.doorbell(learner.member).ring()
            self._wait_for_checkpoint(learner)
        elif learner.state in (State.ABSENT, State.STARTED):
            self._ending.not_begun(is_saved=CheckpointStore(self._run.checkpoints).has(LATEST))
        else:
            self._ending.not_saved(learner.failed)

    def _wait_for_checkpoint(self, learner: Entry) -> None:
        patience = Patience(self._plane.counters(learner.member).get("pid"), self._clock.now_s)
        while self._saved_request == 0:
            if learner.pidfd is None:
                self._ending.not_saved(learner.failed)
                return
            if self._turn_until(patience.deadline_s):
                continue
            if self._signals.count() > 1 or not patience.extend():
                self._ending.given_up(signal_outcome(self._signals) if self._signals.count() > 1 else None)
                return
            patience.say_once(self._view.line, again="again" if self._signals.count() else "twice")

    def _kill_rest(self) -> None:
        """Kills the children that are left, and waits for their end: they must be gone before the shared memory is."""
        self._stopping = self._killing = True  # whoever is killed now is not mourned, whatever led here
        self._roster.kill()
        deadline_s = self._clock.now_s() + _REST_STOP_S
        while any(entry.child is not None for entry in self._roster.alive()) and self._clock.now_s() < deadline_s:
            self._turn(_TICK_MS)

    def _turn_until(self, deadline_s: float) -> bool:
        now_s = self._clock.now_s()
        if self._signals.count() > 1:
            self._hurried_s = self._hurried_s or now_s + _SECOND_CTRL_C_STOP_S
            deadline_s = min(deadline_s, self._hurried_s)
        left_ms = round((deadline_s - now_s) * 1000)
        if left_ms <= 0:
            return False
        self._turn(min(left_ms, _TICK_MS))
        return True


def _tail(log: Path) -> str:
    """The end of a log, from its last traceback, or the stacks of a silent process, on."""
    try:
        text = log.read_text(errors="replace")[-8_000:]
    except OSError:
        return ""
    return text[max(text.rfind("Traceback"), text.rfind(STACKS), 0) :]
