"""`train`: takes a profile to a finished run, in many processes or in one."""

import dataclasses
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from ..cluster.keys import run_keys
from ..cluster.node import POD
from ..config import Profile, load_profile
from ..errors import ConfigError, ExitCode, UsageError
from ..extras import require
from ..own_code import own_code_allowed
from ..replay.journal import has_records
from ..runs.checkpoint import LATEST, CheckpointStore
from ..runs.directory import LiveRun, LockedRun, RunDirectory, save_profile, sweep_leftovers
from ..runs.initial import write_initial
from ..runs.last_moment import LastMoment
from ..runs.resume import ResumePoint
from ..runs.scores import read_scores
from ..telemetry import View
from ..telemetry.loggers import Loggers
from ..telemetry.reports import Reached
from .bundles import Task
from .checks import check_model, check_profile, check_start, find_source
from .last_moment import counted_session, recall_last_moment
from .placing import Placing
from .plan import Plan, make_plan, plan_lines
from .pod_resources import pod_line, pod_resources
from .prepare import prepare
from .serial_run import run_serial
from .signals import Outcome, SignalPipe, Watch, signal_outcome
from .start import find_start
from .supervisor import Supervisor


def train(
    profile: Profile,
    run: RunDirectory,
    view: View,
    *,
    serial: bool = False,
    watch: Watch | None = None,
    trace_events: int | None = None,
    began_s: float | None = None,
    ray: str = "",
) -> Outcome:
    """Runs a profile in its run directory until it stops; resumes the run that the directory holds.

    `watch` looks at the run while it is live. `trace_events` of a run that is measured is the room for a trace, in
    events, and 0 without one. With `began_s`, a time on the monotonic clock, a line says how long after it the first
    env step was played. `ray` is the address of the Ray cluster that places the run's pods, or "auto".
    """
    if ray:
        refuse_without_pods(profile)
    if serial and profile.cluster.pods:
        raise UsageError(f"--serial: cluster.pods={profile.cluster.pods}: one process serves no pods: leave one out")
    game = check_profile(profile, run, trace_events=trace_events)
    with SignalPipe() as signals, run.locked() as locked, locked.as_found():
        last = recall_last_moment(locked)
        start = find_start(run, view, last)
        reached = read_reached(run, start, last)
        if start is not None or run.profile.is_file():
            _announce_resume(run, reached, _empty_table(run, profile, reached), locked, view)
            _announce_changes(run, profile, view)
            if start is not None and profile.learner.init_from:
                view.line(f"learner.init_from={profile.learner.init_from!r}: not read: the run has weights of its own")
        limit = _already_reached(profile, reached)
        if limit is not None:
            _begin(locked, start, view)
            return Outcome(ExitCode.FINISHED, limit)
        check_start(profile, game, run, start)
        source = find_source(profile, start)
        with counted_session(locked) as live, _start_loggers(profile, live, view, signals) as loggers:
            prepared = prepare(profile, game, live, view, signals)
            loggers.await_ready(lambda: signals.first() is not None)
            stopped = signal_outcome(signals, "stopped before training began")
            if stopped is not None:
                return stopped
            assert prepared is not None
            plan = make_plan(profile, game, prepared.devices, prepared.model, trace_events=trace_events)
            initial = check_model(plan, run, start, source)
            if initial is not None:
                write_initial(Path(live.runtime_directory), initial)
            with _reserve_pods(ray, plan, live, view, signals) as pods:
                if pods is not None:
                    pods.await_placed(lambda: signals.first() is not None)
                    stopped = signal_outcome(signals, "stopped before its pods had their places")
                    if stopped is not None:
                        return stopped
                _begin(locked, start, view)
                keys = run_keys(run.path, profile.cluster.pods) if profile.cluster.pods else None
                save_profile(profile, run.profile)
                for line in (*prepared.lines(), *([initial.line] if initial else []), *plan_lines(plan)):
                    view.line(line)
                reached = reached._replace(began_s=began_s)
                if serial:
                    return run_serial(plan, run, live, view, signals, reached, watch, loggers)
                if pods is not None and keys is not None:
                    view.line(pod_line(plan))
                    allowed = ("--allow-env-import",) if own_code_allowed() else ()
                    program = (*POD, *allowed)
                    pods.start(run.path, Path(live.runtime_directory), keys.public, run.logs, program)
                return Supervisor(plan, run, live, view, signals, reached, watch, loggers, pods).run()


def refuse_without_pods(profile: Profile) -> None:
    """Raises UsageError if there is nothing that Ray could place, or no Ray."""
    require("ray", "--ray")
    if profile.cluster.pods == 0:
        raise UsageError("--ray: cluster.pods=0: set it to the number of pods, as in --set cluster.pods=2")


def _reserve_pods(
    ray: str, plan: Plan, live: LiveRun, view: View, signals: SignalPipe
) -> AbstractContextManager[Placing | None]:
    if not ray:
        return nullcontext()
    cluster = plan.profile.cluster
    task = Task(ray, cluster.pods, pod_resources(plan), cluster.listen)
    return Placing(task, Path(live.runtime_directory), view.line, lambda: signals.count() > 1)


def _start_loggers(profile: Profile, live: LiveRun, view: View, signals: SignalPipe) -> Loggers:
    names, runtime = profile.telemetry.loggers, Path(live.runtime_directory)
    return Loggers(names, runtime, view.line, lambda: signals.count() > 1)


def _begin(locked: LockedRun, start: ResumePoint | None, view: View) -> None:
    """Changes files for the first time: from here on nothing is refused."""
    locked.touch()
    for path in sweep_leftovers(locked.directory.path):
        view.line(f"removed {path}, left by a run that was killed")
    if start is not None and start.fault:
        CheckpointStore(locked.directory.checkpoints).point(LATEST, start.name)


def read_reached(run: RunDirectory, start: ResumePoint | None, last: LastMoment | None) -> Reached:
    """The checkpoint's steps, the moves up to a kill, and the best evaluation; zeros for a new run."""
    best = max((score.return_mean for score in read_scores(run.scores)), default=None)
    state = start.checkpoint.state if start else {"env_steps": 0, "learner_steps": 0}
    env_steps = max(state["env_steps"], last.env_steps if last else 0)
    return Reached(env_steps, state["learner_steps"], best, last.inserted if last else 0)


def _announce_resume(run: RunDirectory, reached: Reached, empty: str, locked: LockedRun, view: View) -> None:
    view.line(f"{run.path}: resuming at env step {reached.env_steps:,}, learner step {reached.learner_steps:,}{empty}")
    last, ended = locked.last, "was killed" if locked.former else "ended"
    if last is not None and (locked.former or last.in_flight):
        view.line(f"it {ended} with {last.in_flight:,} transitions on their way to the replay server: they are lost")
        locked.remember(last._replace(in_flight=0))  # told, and not told again


def _empty_table(run: RunDirectory, profile: Profile, reached: Reached) -> str:
    """Why the replay table starts empty, in brackets; "" if it does not, or if nothing was played."""
    if not profile.replay.journal:
        return " (no journal: the replay table starts empty)"
    if profile.replay.source or not reached.env_steps or has_records(run.journal):
        return ""
    return f" ({run.journal} holds no transitions: the replay table starts empty)"


def _announce_changes(run: RunDirectory, profile: Profile, view: View) -> None:
    if not run.profile.is_file():
        return
    try:
        before = load_profile(run.profile)
    except ConfigError as error:
        view.line(f"{run.profile} cannot be read, it is written anew: {error}")
        return
    for difference in _differences(before, profile):
        view.line(f"changed since the last session: {difference}")


def _differences(before: Profile, after: Profile) -> list[str]:
    old, new = _leaves(dataclasses.asdict(before)), _leaves(dataclasses.asdict(after))
    return [f"{name} {old.get(name)!r} -> {new[name]!r}" for name in new if old.get(name) != new[name]]


def _leaves(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    leaves: dict[str, object] = {}
    for name, value in tree.items():
        leaves |= _leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return leaves


def _already_reached(profile: Profile, reached: Reached) -> str | None:
    stop = profile.stop
    values = {
        "env_steps": reached.env_steps,
        "learner_steps": reached.learner_steps,
        "return_mean": reached.best_return_mean,
    }
    for name, value in values.items():
        limit = getattr(stop, name)
        if limit is not None and value is not None and value >= limit:
            return f"already finished: stop.{name}={limit:g} was reached ({value:g}); raise it to continue training"
    return None
