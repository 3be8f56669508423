"""Loads the machine and makes it stutter under a live CartPole run: no process may be killed for it (R16).

    python -m tests.drills.load [--minutes 10] [--loops 8] [--seed 0] [--json F]

Busy loops take the processors. Random processes of the run, the supervisor too, are stopped for a moment that is
shorter than topology.silence_s and continued: a stand-in for a machine that stands still now and then.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from mzpipe.config.profile import TopologyConfig
from mzpipe.errors import ExitCode
from tests.drills.report import Row, finish, say
from tests.drills.run import WatchedRun
from tests.pipeline.driver import clean

SILENCE_S = TopologyConfig().silence_s
# A stop of at most this part of the silence that is allowed: the process must also get a processor afterwards.
_PART = 0.6
_STOP_S = 60.0
# Lines about the end of a process have its pid; what another run has left, and this one removes, has none.
_SILENT, _KILLED = r": no progress for ", r"\(pid \d+\) |once too often"


class Stutters(NamedTuple):
    """How often processes were stopped, and the longest stop."""

    count: int
    longest_s: float


def stutter(run: WatchedRun, seconds: float, rng: random.Random) -> Stutters:
    """Stops a random process for a moment, again and again; all of them run on in the end."""
    count, longest_s, end_s = 0, 0.0, time.monotonic() + seconds
    while time.monotonic() < end_s and not run.is_over():
        run.rest(rng.uniform(1.0, 5.0))
        pid = rng.choice([run.process.pid, *(run.count(member, "pid") for member in run.members())])
        with suppress(ProcessLookupError), _stopped(pid):
            stopped_s = time.monotonic()
            run.rest(rng.uniform(0.2, _PART * SILENCE_S))
        count, longest_s = count + 1, max(longest_s, time.monotonic() - stopped_s)
    return Stutters(count, longest_s)


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Processes that only compute."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def rows_of(lines: Sequence[str], restarts: int, steps: int, code: int | None) -> Iterator[Row]:
    """What the run has said and done under the load."""
    for what, pattern in (("said to be silent", _SILENT), ("killed, or ended", _KILLED)):
        found = [line for line in lines if re.search(pattern, line)]
        yield Row("R16", what, "; ".join(found) or "none", "none", not found)
    yield Row("R16", "processes started again", str(restarts), "0", restarts == 0)
    yield Row("R16", "learner steps", f"{steps:,}", "> 0", steps > 0)
    yield Row("R16", "exit code after Ctrl-C", str(code), str(int(ExitCode.INTERRUPTED)), code == ExitCode.INTERRUPTED)


def main() -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.load", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--loops", type=int, default=8, help="busy loops (default: 8)")
    parser.add_argument("--seed", type=int, default=0, help="which processes are stopped, and when (default: 0)")
    parser.add_argument("--json", type=Path, help="write the table to this file too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mzpipe-drill-") as scratch:
        try:
            with WatchedRun.ready(Path(scratch) / "run") as run:
                steps = run.learner_steps()
                with busy_loops(arguments.loops):
                    stutters = stutter(run, 60.0 * arguments.minutes, random.Random(arguments.seed))
                steps = run.learner_steps() - steps
                restarts = sum(run.count(member, "restarts") for member in run.members())
                run.process.send_signal(signal.SIGINT)
                run.watch(run.is_over, _STOP_S)
        finally:
            clean(Path(scratch))
    say(
        f"{arguments.minutes:g} min, {arguments.loops} busy loops on {os.cpu_count()} cores, {stutters.count} stops "
        f"of up to {stutters.longest_s:.1f} s; clock steps are not tried"
    )
    lines = [line.text for line in run.lines]
    return finish("load", list(rows_of(lines, restarts, steps, run.process.poll())), arguments.json)


if __name__ == "__main__":
    sys.exit(main())
