"""Kills a pod, its uplink, the gateway, a node of Ray and the head, again and again, in a CartPole run whose pods Ray
places on two nodes of this machine, and holds what follows against the promises.

    python -m tests.drills.pods [--count 10] [--seed 0] [--what pod,uplink,gateway,node,head] [--json F]

One run directory lives through `count` sessions. In each every kind is killed once, in an order that the seed
determines, and waits until the pods hand over again; the head comes last, so the next session resumes what it has left.
"""

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from mzpipe.cluster.identity import ADDRESS_FILE
from mzpipe.errors import ExitCode
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.replay.journal import read_journal
from tests.drills.journal_check import Findings, check, count_stored, played_in
from tests.drills.ledger import Books, balance_row
from tests.drills.report import Row, at_most, faults_row, finish, say
from tests.drills.run import WatchedRun, kill_and_wait, seconds_until_gone
from tests.on_ray.cluster import RayCluster
from tests.pipeline.driver import START_S, clean
from tests.processes import command_line, descendants

POD, UPLINK, GATEWAY, NODE, HEAD = KINDS = ("pod", "uplink", "gateway", "node", "head")
PODS = 2
_OVERRIDES = ("topology.actors=1", f"cluster.pods={PODS}", "cluster.actors=1")
# Processors of Ray's nodes: a head without, and a node for each pod, which takes three.
_NODES = [0, *[3] * PODS]
# The promised seconds from the death of a head until its pods are gone.
_GONE_S = 10.0
_GATEWAY = Member(Role.GATEWAY, 0)
_REST_S = (3.0, 6.0)
_STOP_S = 60.0


class Figures:
    """What the drill has measured."""

    def __init__(self) -> None:
        self.kills, self.as_promised = Counter[str](), Counter[str]()
        self.faults: list[str] = []
        self.again_s = defaultdict[str, list[float]](list)
        self.gone_s: list[float] = []

    def follow(self, kind: str, seconds: float | None) -> None:
        """Counts one kill; `seconds` until all was well again, None if that did not come."""
        self.kills[kind] += 1
        if seconds is None:
            self.faults.append(f"{kind}: kill {self.kills[kind]}")
        else:
            self.as_promised[kind] += 1
            self.again_s[kind].append(seconds)


class PodDrill:
    """Lives through sessions in one run directory."""

    def __init__(self, directory: Path, cluster: RayCluster, seed: int) -> None:
        self._directory, self._cluster, self._rng = directory, cluster, random.Random(seed)
        self._nodes = list(range(1, len(_NODES)))  # the cluster numbers them in the order in which they are added
        self.figures, self.books = Figures(), list[Books]()

    @property
    def journal(self) -> Path:
        """The journal of the run."""
        return self._directory / "run" / "journal"

    def live_through(self, kinds: Sequence[str]) -> None:
        """Runs one session: kills each of these, and the head at the end if it is one of them."""
        extra = ("--ray", self._cluster.address)
        run = WatchedRun(self._directory / "run", *_OVERRIDES, extra=extra, env=self._cluster.settings)
        try:
            if not run.is_ready() or not self._all_hand_over(run):
                sys.exit(f"the run did not become ready:\n{run.output}")
            others = [kind for kind in kinds if kind != HEAD]
            for kind in self._rng.sample(others, k=len(others)):
                run.rest(self._rng.uniform(*_REST_S))
                self._kill(run, kind)
            run.rest(self._rng.uniform(*_REST_S))
            if HEAD in kinds:
                self._kill_head(run)
            else:
                self._interrupt(run)
        finally:
            run.end()
        self.books.append(Books(run.plane.total("env_steps"), count_stored(self.journal).transitions, run.output))

    def _all_hand_over(self, run: WatchedRun) -> bool:
        """Waits until records of every pod arrive, in whichever life it is."""
        rows = [run.plane.pod_row(pod) for pod in range(PODS)]
        before = [(row.session, row.taken_A.sum()) for row in rows]

        def all_do() -> bool:
            return all(
                row.is_linked and row.taken_A.sum() > (taken if row.session == session else 0)
                for row, (session, taken) in zip(rows, before, strict=True)
            )

        return run.watch(lambda: all_do() or run.is_over(), START_S) and not run.is_over()

    def _kill(self, run: WatchedRun, kind: str) -> None:
        """Kills one process, or a node with all of its processes, and waits until the pods hand over again."""
        pod, killed_s = self._rng.randrange(PODS), time.monotonic()
        former = self._life(run, kind, pod)
        if kind == NODE:
            self._replace_node()
        elif kind == POD:
            kill_and_wait([pid_of(self._address(run), pod, POD)])
        else:
            kill_and_wait([former])
        is_noticed = run.watch(lambda: self._life(run, kind, pod) not in (0, former) or run.is_over(), START_S)
        is_well = is_noticed and self._all_hand_over(run)
        self.figures.follow(kind, time.monotonic() - killed_s if is_well else None)

    def _life(self, run: WatchedRun, kind: str, pod: int) -> int:
        """A number that is another one once what was killed lives again."""
        if kind == GATEWAY:
            return run.count(_GATEWAY, "pid")
        if kind == UPLINK:
            return pid_of(self._address(run), pod, UPLINK)
        return sum(run.plane.pod_row(each).sessions for each in range(PODS))

    def _replace_node(self) -> None:
        place = self._rng.randrange(len(self._nodes))
        self._cluster.tell(f"kill {self._nodes[place]}")
        self._cluster.tell(f"add {_NODES[-1]}")
        self._nodes[place] = max(self._nodes) + 1

    def _kill_head(self, run: WatchedRun) -> None:
        address = self._address(run)
        pids = {pid for pod in range(PODS) for pid in descendants(pid_of(address, pod, POD))}
        killed_s = kill_and_wait([run.process.pid])
        run.process.wait()
        gone_s, _ = seconds_until_gone(pids, killed_s, START_S)
        self.figures.gone_s.append(gone_s)
        self.figures.follow(HEAD, gone_s if gone_s < START_S else None)

    def _interrupt(self, run: WatchedRun) -> None:
        run.process.send_signal(signal.SIGINT)
        run.watch(run.is_over, _STOP_S)
        if run.process.poll() != ExitCode.INTERRUPTED:
            self.figures.faults.append(f"Ctrl-C: exit code {run.process.poll()}")

    @staticmethod
    def _address(run: WatchedRun) -> str:
        return (run.plane.directory / ADDRESS_FILE).read_text()

    def findings(self) -> Findings:
        """The check of every transition in the journal."""
        return check(played_in(read_journal(self.journal).trajectories()))


def pid_of(address: str, pod: int, kind: str) -> int:
    """The supervisor of a pod of the run at this address, or its uplink."""
    for pid in psutil.pids():
        words = command_line(pid)
        if "pod" in words and address in words and "--key" in words:
            key = Path(words[words.index("--key") + 1])
            if json.loads(key.read_text())["pod"] == pod:
                return pid if kind == POD else _uplink_of(pid)
    sys.exit(f"no process is {kind} of pod {pod}")


def _uplink_of(pid: int) -> int:
    """The uplink among a pod's processes; 0 while it has none."""
    return next((each for each in descendants(pid) if str(Role.UPLINK) in command_line(each)), 0)


def rows_of(figures: Figures, books: Sequence[Books], findings: Findings) -> Iterator[Row]:
    """Every promise with what was measured."""
    for kind, kills in figures.kills.items():
        right = figures.as_promised[kind]
        yield Row("", f"{kind}: all is well again", f"{right} of {kills} kills", "all", right == kills)
    for kind, seconds in figures.again_s.items():
        if kind != HEAD:
            yield Row("", f"{kind}: kill to records of both pods", at_most(seconds, START_S, "s")[0], "measured", True)
    if figures.gone_s:
        measured, is_held = at_most(figures.gone_s, _GONE_S, "s")
        yield Row("R9", "head: kill to the end of its pods", measured, f"p95 <= {_GONE_S:g} s", is_held)
    yield balance_row(books)
    yield findings.row()
    yield faults_row(figures.faults)


def main() -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.pods", description="Kills pods, links and heads.")
    parser.add_argument("--count", type=int, default=10, help="kills of each kind (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="in which order (default: 0)")
    parser.add_argument("--what", default=",".join(KINDS), help="what is killed, with commas (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the table to this file too")
    arguments = parser.parse_args()
    kinds = arguments.what.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"--what: {', '.join(sorted(unknown))}: not one of {', '.join(KINDS)}")
    cluster = RayCluster(_NODES)
    try:
        with tempfile.TemporaryDirectory(prefix="mzpipe-drill-") as scratch:
            drill = PodDrill(Path(scratch), cluster, arguments.seed)
            try:
                for number in range(arguments.count):
                    say(f"session {number}")
                    drill.live_through(kinds)
                say("the last session tells what the others have lost")
                drill.live_through(())
                findings = drill.findings()
            finally:
                clean(Path(scratch))
    finally:
        cluster.close()
    return finish("pods", list(rows_of(drill.figures, drill.books, findings)), arguments.json)


if __name__ == "__main__":
    sys.exit(main())
