"""A long run, and what each of its processes holds: the command, and its judgement.

    python -m tests.drills.soak PROFILE [--set SECTION.FIELD=VALUE] [--minutes 60] [--warm-up 10] [--json F]

Trains, looks at every process twice a minute, stops the run as Ctrl-C does, and prints a line per process: private
memory and its growth, and how its file descriptors, threads and mapped regions changed. Exit code 1 if a promise (R12)
is broken: 1 MiB a minute after the warm-up, and nothing else that grows.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from tests.pipeline.driver import Run

_LOOK_S = 30.0
_MIB = 2**20
_GROWTH_MIB_PER_MINUTE = 1.0
# An allocator's arenas and the files that are open during one look come and go. A leak passes this within the hour: a
# descriptor, thread or region lost at each of the run's checkpoints would be hundreds.
_COMES_AND_GOES = {"descriptors": 2, "threads": 0, "regions": 16}


class Look(NamedTuple):
    """What one process held at one moment; times in seconds since the start."""

    time_s: float
    private_bytes: int
    descriptors: int
    threads: int
    regions: int


class Growth(NamedTuple):
    """How one process grew after the warm-up; private memory as a line fitted to all looks."""

    private_mib: float
    mib_per_minute: float
    descriptors: int
    threads: int
    regions: int

    def broken(self) -> list[str]:
        """What grew by more than is promised."""
        counts = [name for name, room in _COMES_AND_GOES.items() if getattr(self, name) > room]
        return ["memory"] * (self.mib_per_minute > _GROWTH_MIB_PER_MINUTE) + counts


def growth(looks: Sequence[Look]) -> Growth:
    """The growth over these looks, of which there are at least two.

    Counts are compared by the least of either half: what comes and goes is left out, what stays is not.
    """
    times_min = np.array([look.time_s for look in looks]) / 60.0
    private_mib = np.array([look.private_bytes for look in looks]) / _MIB
    slope = float(np.polyfit(times_min, private_mib, 1)[0])
    half = len(looks) // 2
    counts = {
        name: min(getattr(look, name) for look in looks[half:]) - min(getattr(look, name) for look in looks[:half])
        for name in _COMES_AND_GOES
    }
    return Growth(float(private_mib[-1]), slope, **counts)


def look(process: psutil.Process, time_s: float) -> Look:
    """Looks at a process; raises psutil.Error if it has ended."""
    with process.oneshot():
        regions = len(process.memory_maps(grouped=False))
        return Look(time_s, process.memory_full_info().uss, process.num_fds(), process.num_threads(), regions)


def watch(run: Run, minutes: float, warm_up: float) -> dict[str, list[Look]]:
    """Looks at the supervisor and every role until the time is over; a role that is started again begins anew."""
    start_s, looks = time.monotonic(), {}
    while (time_s := time.monotonic() - start_s) < 60.0 * minutes:
        if run.process.poll() is not None:
            raise SystemExit(f"the run has ended after {time_s / 60:.1f} minutes:\n{run.output[-2000:]}")
        if time_s >= 60.0 * warm_up:
            for name, pid in {"supervisor": run.process.pid, **run.roles()}.items():
                looks.setdefault((name, pid), []).append(look(psutil.Process(pid), time_s))
        time.sleep(_LOOK_S)
    return {f"{name} (pid {pid})": found for (name, pid), found in looks.items() if len(found) > 1}


def report(growths: dict[str, Growth]) -> Table:
    """The table that the command prints."""
    table = Table("process", "private MiB", "MiB a minute", "descriptors", "threads", "regions", "")
    for name, grown in growths.items():
        broken = ", ".join(grown.broken())
        counts = (f"{count:+d}" for count in (grown.descriptors, grown.threads, grown.regions))
        figures = f"{grown.private_mib:.1f}", f"{grown.mib_per_minute:+.3f}", *counts
        table.add_row(name, *figures, f"BAD: {broken}" if broken else "ok")
    return table


def main(words: Iterable[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = _arguments(words)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "run", *arguments.sets, profile=arguments.profile.read_text())
        try:
            run.wait_for_line("processes are ready")
            looks = watch(run, arguments.minutes, arguments.warm_up)
            run.process.send_signal(signal.SIGINT)
            code = run.wait()
        finally:
            run.kill()
    growths = {name: growth(found) for name, found in looks.items()}
    Console().print(report(growths), f"exit code {code}")
    if arguments.json:
        arguments.json.write_text(json.dumps({name: grown._asdict() for name, grown in growths.items()}, indent=1))
    return 0 if growths and not any(grown.broken() for grown in growths.values()) else 1


def _arguments(words: Iterable[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.drills.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("profile", type=Path)
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="SECTION.FIELD=VALUE")
    parser.add_argument("--minutes", type=float, default=60.0, help="the whole time (60)")
    parser.add_argument("--warm-up", type=float, default=10.0, help="minutes before the first look (10)")
    parser.add_argument("--json", type=Path, metavar="F", help="write the figures to this file")
    return parser.parse_args(None if words is None else list(words))


if __name__ == "__main__":
    sys.exit(main())
