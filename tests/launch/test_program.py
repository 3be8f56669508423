"""How long a program may take."""

import os
from types import SimpleNamespace

from mzpipe.launch import program as module
from mzpipe.launch.signals import SignalPipe
from mzpipe.runtime.attended import AttendedClock


def test_program_may_take_as_long_as_this_process_was_stopped(monkeypatch):
    ended, end = os.pipe()
    looks = []

    def monotonic():
        looks.append(1000.0 * len(looks))  # stopped before every look
        if len(looks) == 5:
            os.write(end, b"x")
        return looks[-1]

    monkeypatch.setattr(module, "AttendedClock", lambda most_s: AttendedClock(most_s, monotonic))
    monkeypatch.setattr(module, "_LOOK_S", 0.001)
    with SignalPipe() as signals:
        assert module._wait(SimpleNamespace(pidfd=ended, pid=1), signals, "rehearsal")
    os.close(ended)
    os.close(end)
