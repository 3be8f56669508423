"""Runs the rehearsal program before anything real starts."""

import time
from pathlib import Path

from ..telemetry import View
from .program import run_program
from .rehearsal import Prepared, read_prepared
from .run_directory import LiveRun, RunDirectory
from .signals import SignalPipe


def prepare(run: RunDirectory, live: LiveRun, view: View, signals: SignalPipe) -> Prepared | None:
    """What the rehearsal found out; None when a signal came first. Raises the error that it ended with."""
    view.line("compiling kernels and rehearsing the pipeline ...")
    start_s = time.monotonic()
    runtime = Path(live.runtime_directory)
    words = [str(run.profile), str(runtime)]
    if not run_program("mzpipe.launch.rehearsal", words, runtime, signals, what="rehearsal"):
        return None
    view.line(f"compiling kernels: {time.monotonic() - start_s:.1f} s")
    return read_prepared(runtime)
