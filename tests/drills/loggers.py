"""Trains CartPole beside a logger that hangs from some minute on, and without one, turn about, and compares the rates.

    python -m tests.drills.loggers [--minutes 60] [--slices 6] [--hang-from 5] [--json F]

Two runs take turns, because the machine may have other work: each is trained for a slice, stopped, and later resumed.
Rates are counted from the time on at which every process works. The logger, which is the only difference, hangs in a
call that holds the interpreter's lock.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mzpipe.errors import ExitCode
from tests.drills.report import Row, finish, say
from tests.drills.run import WatchedRun
from tests.loggers.hanging import HANG_AFTER_S
from tests.pipeline.driver import clean

_HANGING = "tests.loggers.hanging:HangsLater"
# Rates of slices differ by this much on a quiet machine; a run that waited for its logger would stand still.
_LEAST_PART = 0.9
_STOP_S, _PROMISED_STOP_S = 60.0, 10.0


class Slice(NamedTuple):
    """One session: what it did per second, how long its stop took, its exit code, and what it said of loggers."""

    env_steps_per_s: float
    learner_steps_per_s: float
    stop_s: float
    code: int | None
    lines: list[str]


def train_for(directory: Path, seconds: float, hang_from_s: float | None) -> Slice:
    """Trains a run for a time after it is ready, with a logger that hangs from some second on, or without one."""
    overrides, extra = ["telemetry.interval_s=1.0"], []
    if hang_from_s is not None:
        os.environ[HANG_AFTER_S] = str(hang_from_s)
        overrides.append(f'telemetry.loggers=["{_HANGING}"]')
        extra.append("--allow-env-import")
    with WatchedRun.ready(directory, *overrides, extra=extra) as run:
        begin_s, before = time.monotonic(), _counts(run)
        run.rest(seconds)
        took_s, after = time.monotonic() - begin_s, _counts(run)
        run.process.send_signal(signal.SIGINT)
        stopped_s = time.monotonic()
        run.watch(run.is_over, _STOP_S)
        stop_s = time.monotonic() - stopped_s
    lines = [line.text for line in run.lines if "telemetry.loggers" in line.text]
    env_steps, learner_steps = ((late - early) / took_s for early, late in zip(before, after, strict=True))
    return Slice(env_steps, learner_steps, stop_s, run.process.poll(), lines)


def _counts(run: WatchedRun) -> tuple[int, int]:
    return run.plane.total("env_steps"), run.plane.total("learner_steps")


def rows_of(with_logger: Sequence[Slice], without: Sequence[Slice]) -> list[Row]:
    """What the slices say of the promise that a logger neither slows nor ends a run."""
    rows = []
    for name in ("env_steps_per_s", "learner_steps_per_s"):
        ours, theirs = (statistics.median(getattr(each, name) for each in some) for some in (with_logger, without))
        part = ours / theirs if theirs else 0.0
        measured = f"{ours:,.1f} with the logger, {theirs:,.1f} without: {part:.2f}"
        rows.append(Row("loggers", f"median {name}", measured, f">= {_LEAST_PART}", part >= _LEAST_PART))
    codes = {each.code for each in (*with_logger, *without)}
    rows.append(Row("loggers", "exit codes after Ctrl-C", str(codes), "130", codes == {ExitCode.INTERRUPTED}))
    stop_s = max(each.stop_s for each in with_logger)
    rows.append(Row("R1", "longest stop", f"{stop_s:.1f} s", f"{_PROMISED_STOP_S:g} s", stop_s <= _PROMISED_STOP_S))
    told = [sum("has logged" in line for line in each.lines) for each in with_logger]
    rows.append(Row("loggers", "told what is missing", f"{told}", "once a slice", set(told) == {1}))
    return rows


def main() -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.loggers", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of training with the logger (default: 60)")
    parser.add_argument("--slices", type=int, default=6, help="sessions of each kind, turn about (default: 6)")
    parser.add_argument("--hang-from", type=float, default=5.0, help="minute of the run (default: 5)")
    parser.add_argument("--json", type=Path, help="write the table to this file too")
    arguments = parser.parse_args()
    seconds = 60.0 * arguments.minutes / arguments.slices
    found: tuple[list[Slice], list[Slice]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="mzpipe-drill-") as scratch:
        try:
            for index in range(2 * arguments.slices):
                kind = (index + index // 2) % 2  # with, without, without, with: a slow drift favours neither
                hang_from_s = max(0.0, 60.0 * arguments.hang_from - len(found[0]) * seconds)
                run = Path(scratch) / ("without" if kind else "with")
                one = train_for(run, seconds, None if kind else hang_from_s)
                found[kind].append(one)
                rates = f"{one.env_steps_per_s:,.1f} env steps/s, {one.learner_steps_per_s:,.1f} learner steps/s"
                say("\n".join([f"{'without' if kind else 'with   '} {rates}, stop {one.stop_s:.1f} s", *one.lines]))
        finally:
            clean(Path(scratch))
    say(f"{arguments.slices} slices of {seconds:.0f} s each; the logger hung from minute {arguments.hang_from:g} on")
    return finish("loggers", rows_of(*found), arguments.json)


if __name__ == "__main__":
    sys.exit(main())
