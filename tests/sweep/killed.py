"""Runs a sweep that is killed (SIGKILL) at its first event, then at the second of the next session, and so on.

Run as `python -m tests.sweep.killed DIR`: prints the number of sessions.
"""

import os
import signal
import sys
from pathlib import Path

import optuna  # noqa: F401  loaded once, before the sessions are forked

from mzpipe.sweep import jobs, spec, study
from tests.sweep.made import SPACE, Sweep

# Before and after each of these calls the sweep may be killed.
EVENTS = (
    (study.Study, "next"),
    (spec.Range, "suggest"),
    (jobs.LocalRunner, "start"),
    (study.Trial, "complete"),
)


def watch(die_at):
    """Kills this process at its event number `die_at`."""
    events = 0

    def happen():
        nonlocal events
        events += 1
        if events == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(function):
        def call(*arguments, **options):
            happen()
            result = function(*arguments, **options)
            happen()
            return result

        return call

    for owner, name in EVENTS:
        setattr(owner, name, watched(getattr(owner, name)))


def main(path):
    sweep, sessions = Sweep(Path(path), f"trials = 2\nstartup_trials = 1\n{SPACE}"), 0
    while True:
        sessions += 1
        pid = os.fork()
        if pid == 0:
            watch(sessions)
            os._exit(sweep.run().exit_code)
        if os.waitpid(pid, 0)[1] == 0:
            return sessions


if __name__ == "__main__":
    sys.stdout.write(f"{main(sys.argv[1])}\n")
