"""`mzpipe pod`: a supervisor for a pod's processes, on the machine where they play."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from ..cluster.asking import Answer, ask
from ..cluster.keys import PodKey, read_key
from ..cluster.uplink import write_link
from ..config import ClusterConfig, Profile, TelemetryConfig
from ..errors import ExitCode
from ..format import count
from ..games import describe_game
from ..ipc.dataplane import DataPlane
from ..ipc.messages import Evaluated
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..own_code import check_permission
from ..planning import derive_seed
from ..runs.directory import LiveRun, RunDirectory, save_profile, sweep_leftovers
from ..telemetry import View
from ..telemetry.loggers import Loggers
from ..telemetry.reports import Reached, Reporting
from .plan import Plan, make_pod_plan, plan_lines
from .prepare import prepare
from .signals import Outcome, SignalPipe, signal_outcome
from .supervisor import Supervisor

_LINE_S = 30.0


def default_pod_directory(key: PodKey) -> Path:
    """The directory of a pod that was given none."""
    return Path("runs") / f"pod-{key.pod}"


def run_pod(host: str, port: int, key_path: Path, run: RunDirectory, view: View) -> Outcome:
    """Plays for a run on another machine until it ends; `run` is the directory of the pod's own logs."""
    key = read_key(key_path)
    with SignalPipe() as signals, run.locked() as locked:
        locked.touch()
        answer = ask(key, host, port)
        profile = pod_profile(answer, key.pod)
        if profile.network.is_own:
            check_permission("network.kind", profile.network.kind)
        game = describe_game(profile.game)
        for path in sweep_leftovers(run.path):
            view.line(f"removed {path}, left by a run that was killed")
        with locked.runtime() as live:
            prepared = prepare(profile, game, live, view, signals)
            stopped = signal_outcome(signals, "stopped before the pod began")
            if stopped is not None or prepared is None:
                return stopped or Outcome(ExitCode.INTERNAL, "not prepared")
            plan = make_pod_plan(
                profile,
                game,
                prepared.devices,
                prepared.model,
                reanalyzers=answer.profile.cluster.reanalyzers,
                is_measured=answer.told.is_measured,
                trace_events=answer.told.trace_events,
            )
            plan.check_room()
            save_profile(profile, run.profile)
            runtime = Path(live.runtime_directory)
            write_link(
                runtime, address=f"{host}:{port}", key=key_path, run_id=answer.told.run_id, profile=answer.digest
            )
            for line in (*prepared.lines(), *plan_lines(plan)):
                view.line(line)
            return PodSupervisor(plan, run, live, view, signals).run()


def pod_profile(answer: Answer, pod: int) -> Profile:
    """The run's profile as this pod plays it, with games that no other start of a pod plays."""
    told = answer.told
    return as_pod(answer.profile, derive_seed(answer.profile.seed, Role.UPLINK, pod, told.starts, told.learner_steps))


def as_pod(profile: Profile, seed: int) -> Profile:
    """The run's profile with the topology of a pod."""
    cluster = profile.cluster
    topology = dataclasses.replace(
        profile.topology, actors=cluster.actors, reanalyzers=max(1, cluster.reanalyzers), external="none"
    )
    return dataclasses.replace(
        profile,
        seed=seed,
        topology=topology,
        inference=dataclasses.replace(profile.inference, devices=cluster.devices),
        cluster=ClusterConfig(),
        telemetry=TelemetryConfig(),
    )


class PodSupervisor(Supervisor):
    """Supervises a pod: nothing is trained here, so nothing is saved, and the run on the other machine sets the end."""

    def __init__(self, plan: Plan, run: RunDirectory, live: LiveRun, view: View, signals: SignalPipe) -> None:
        super().__init__(plan, run, live, view, signals, Reached(0, 0, None))

    def _make_reports(self, reached: Reached, loggers: Loggers | None) -> Reporting:
        return PodReports(self._plane, self._view, self._clock.now_s)

    def _stop_sources(self) -> None:
        """Lets the actors hand over what they have played, while there is an uplink to take it."""
        if self._roster[Member(Role.UPLINK, 0).identity].pidfd is not None:
            super()._stop_sources()

    def _save_checkpoint(self) -> None:
        """Saves nothing."""


class PodReports:
    """A line now and then: what the pod plays, and with which weights."""

    def __init__(self, plane: DataPlane, view: View, clock: Callable[[], float]) -> None:
        self._plane, self._view, self._clock = plane, view, clock
        self._line_due_s = clock() + _LINE_S

    def evaluation(self, message: Evaluated) -> None:
        """Never comes: a pod has no evaluator."""

    def limit_reached(self) -> str | None:
        """None: the run sets the end."""
        return None

    def tick(self, note: Callable[[], str | None]) -> None:
        """Shows the line that is due."""
        if self._clock() >= self._line_due_s:
            self._line_due_s = self._clock() + _LINE_S
            self._show()

    def stopping(self) -> None:
        """Nothing is to be noted."""

    def close(self) -> None:
        """Shows the last line."""
        self._show()

    def _show(self) -> None:
        uplink = self._plane.counters(Member(Role.UPLINK, 0))
        played, crossed = self._plane.total("env_steps"), uplink.get("pod_transitions")
        self._view.line(
            f"{count(played)} env steps, {count(crossed)} handed over; weights version {uplink.get('weights_version')}"
        )
