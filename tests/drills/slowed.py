"""The same training on a machine that stutters: the command, and its table.

    python -m tests.drills.slowed PROFILE [--set SECTION.FIELD=VALUE] [--stages inference learner] [--json F]

Trains once undisturbed, and once for each stage with its processes stopped three quarters of the time; then prints what
the curves say about the last part of each training, over equal env steps. A pipeline whose flow control holds learns
alike: it is only slower. The profile (or --set) must stop by env steps.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mzpipe.ipc.roles import Role
from tests.pipeline.driver import Run

# Stopped 3/4 of the time, and for less than any process may be silent (topology.silence_s).
_STOPPED_S, _GOES_S = 1.5, 0.5
# The part of the training, by env steps, that the table shows.
_FROM = 0.6
CURVES = (
    "charts/episodic_return",
    "targets/value_error",
    "learner/value_error/0",
    "learner/policy_entropy",
    "replay/samples_per_insert",
    "staleness/weights_versions",
)


def late_means(points: dict[str, list[tuple[int, float]]]) -> dict[str, float]:
    """The mean of each curve, of points (env step, value), over the last part of the training."""
    begin = _FROM * max(step for curve in points.values() for step, _ in curve)
    return {name: float(np.mean([value for step, value in curve if step >= begin])) for name, curve in points.items()}


def curves(run_directory: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves of a run that the table shows."""
    events = EventAccumulator(str(run_directory / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return {name: [(point.step, point.value) for point in events.Scalars(name)] for name in CURVES}


def stutter(run: Run, role: str) -> None:
    """Stops the role's processes three quarters of the time until the run has ended."""
    while run.process.poll() is None:
        pids = [pid for name, pid in run.roles().items() if name.startswith(f"{role}-")]
        _send(pids, signal.SIGSTOP)
        time.sleep(_STOPPED_S)
        _send(pids, signal.SIGCONT)
        time.sleep(_GOES_S)


def train(folder: Path, profile: str, sets: list[str], slowed: str | None) -> dict[str, float]:
    """One training in this folder; returns the late means of its curves and its minutes."""
    run, start_s = Run(folder / "run", *sets, profile=profile), time.monotonic()
    try:
        run.wait_for_line("processes are ready")
        if slowed:
            stutter(run, slowed)
        code = run.wait(timeout_s=None)
    finally:
        run.kill()
    if code:
        raise SystemExit(f"the run has ended with exit code {code}:\n{run.output[-2000:]}")
    return late_means(curves(folder / "run")) | {"minutes": (time.monotonic() - start_s) / 60}


def main(words: Iterable[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = _arguments(words)
    profile, figures = arguments.profile.read_text(), {}
    with tempfile.TemporaryDirectory() as folder:
        for stage in (None, *arguments.stages):
            name = stage or "undisturbed"
            figures[name] = train(Path(folder) / name, profile, arguments.sets, stage)
    Console().print(report(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    return 0


def report(figures: dict[str, dict[str, float]]) -> Table:
    """The table that the command prints: a row per curve, a column per training."""
    table = Table("mean over the last part", *figures)
    for curve in next(iter(figures.values())):
        table.add_row(curve, *(f"{values[curve]:.3f}" for values in figures.values()))
    return table


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _arguments(words: Iterable[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.drills.slowed", description=__doc__.partition("\n")[0])
    parser.add_argument("profile", type=Path)
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="SECTION.FIELD=VALUE")
    stages = [Role.INFERENCE, Role.LEARNER]
    parser.add_argument("--stages", nargs="+", default=stages, metavar="ROLE", choices=list(Role))
    parser.add_argument("--json", type=Path, metavar="F", help="write the figures to this file")
    return parser.parse_args(None if words is None else list(words))


if __name__ == "__main__":
    sys.exit(main())
