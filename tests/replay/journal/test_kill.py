"""kill -9 in the middle of writing, again and again on one journal: a prefix is left, with all that was durable."""

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import mzpipe
from mzpipe.replay.journal import read_journal

from .samples import LAYOUT, serials_in

KILLS = 10


@pytest.mark.slow
def test_ten_kills_leave_every_durable_record_and_nothing_else(tmp_path):
    directory, pauses, durable = tmp_path / "journal", random.Random(0), -1
    for _ in range(KILLS):
        lines = _run_and_kill(directory, pauses.uniform(0.05, 0.4))
        durable = max([durable, *lines])
        contents = read_journal(directory, LAYOUT)
        serials = serials_in(contents)
        assert serials == list(range(serials[0], serials[-1] + 1))
        assert serials[0] <= max(1, durable - 3000) and serials[-1] >= durable > 0


def _run_and_kill(directory, after_s):
    """Kills the child `after_s` seconds after its first word; returns what it had said was durable."""
    command = [sys.executable, "-m", "tests.replay.journal.kill_child", str(directory)]
    root = Path(mzpipe.__file__).parent.parent
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as child:
        timers = [threading.Timer(60.0, child.kill)]
        timers[0].start()
        try:
            lines = [child.stdout.readline()]
            timers.append(threading.Timer(after_s, child.kill))
            timers[1].start()
            lines += child.stdout.readlines()
            assert child.wait(120) == -9
        finally:
            child.kill()
            for timer in timers:
                timer.cancel()
                timer.join()
    return [int(line) for line in lines if line.endswith("\n")]
