"""Starts real runs of a tiny profile and looks at them from outside: pids, /dev/shm, files."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from mzpipe.ipc.dataplane import DataPlane
from mzpipe.runs.directory import RunDirectory
from tests.processes import alive, command_line
from tests.waiting import wait_until

START_S = 300.0  # the first start of a machine compiles every kernel
PROFILE = """
[search]
num_simulations = 4
[network]
hidden_size = 16
value_support_size = 20
reward_support_size = 3
[actor]
trajectory_length = 8
[replay]
capacity_bytes = 1000000
min_size_to_sample = 50
max_insert_lead = 200
samples_per_insert = 8.0
[learner]
batch_size = 8
publish_interval = 20
checkpoint_interval = 100
[inference]
batch_timeout_us = 0
[evaluator]
episodes = 2
interval_steps = 200
[topology]
lanes_per_actor = 2
trees_per_lane = 2
[stop]
learner_steps = 1000000
"""


def command(*arguments):
    """The mzpipe command line of this interpreter."""
    return [sys.executable, "-m", "mzpipe.cli.main", *map(str, arguments)]


def mzpipe(*arguments, timeout=3 * START_S, **options):
    """Runs one command to its end."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=timeout, **options)


def clean(tmp_path):
    """`mzpipe clean`, which spares the kernels of this machine's other checkouts."""
    return mzpipe("clean", env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")})


class Run:
    """A live `mzpipe train`, of the tiny profile unless it is given another one."""

    def __init__(self, directory, *overrides, extra=(), env=None, profile=PROFILE):
        self.directory = Path(directory)
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self.profile = self.directory.parent / "tiny.toml"
        self.profile.write_text(profile)
        self.output_path = self.directory.parent / f"output-{time.monotonic_ns()}.txt"
        sets = [word for override in overrides for word in ("--set", override)]
        arguments = command("train", self.profile, "--run-dir", self.directory, *sets, *extra)
        with open(self.output_path, "wb") as output:
            self.process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(env or {})},
            )
        self.seen = set()

    @property
    def output(self):
        return self.output_path.read_text(errors="replace")

    @property
    def runtime(self):
        """The live run's directory under /dev/shm."""
        return Path(RunDirectory(self.directory).live().runtime_directory)

    def roles(self):
        """{identity: pid} of the run's live role processes."""
        found = {}
        for pid in psutil.pids():
            words = command_line(pid)
            if "mzpipe.launch.join" in words and str(self.directory) in words and alive(pid):
                place = words.index("mzpipe.launch.join")
                found[f"{words[place + 1]}-{words[place + 2]}"] = pid
        self.seen |= set(found.values())
        return found

    def wait_for_line(self, text, timeout_s=START_S, count=1):
        """Waits until the output has `text` (a regular expression) `count` times."""
        pattern = re.compile(text)

        def condition():
            assert self.process.poll() is None or len(pattern.findall(self.output)) >= count, self.output
            return len(pattern.findall(self.output)) >= count

        wait_until(condition, timeout_s, f"{text!r} in the output:\n{self.output}")

    def wait_ready(self):
        """Waits until every process works."""
        return self.wait_for_processes(5)

    def wait_for_processes(self, count):
        """Like `wait_ready`, for a run of `count` processes."""
        self.wait_for_line(f"all {count} processes are ready")
        return self.roles()

    def learner_steps(self):
        """Learner steps that the live run has taken."""
        return DataPlane.attach(self.runtime).total("learner_steps")

    def wait(self, timeout_s=2 * START_S):
        """Waits for the supervisor's end; returns its exit code."""
        return self.process.wait(timeout_s)

    def kill(self):
        """Ends everything that is left, by pid; for clean-up."""
        self.roles()
        for pid in [self.process.pid, *self.seen]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
