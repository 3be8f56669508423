"""How `train` hears and ends the program that places pods; stand-ins for that program."""

import os
import time
from pathlib import Path

import pytest

from mzpipe.errors import MzpipeError, UsageError
from mzpipe.launch import placing
from mzpipe.launch.bundles import Task
from mzpipe.launch.placing import Placing

TASK = Task("auto", 1, {"CPU": 1.0}, "127.0.0.1:0")
BEGIN = "import json, sys, time\ntask = json.loads(sys.stdin.readline())\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Starts a stand-in with this code; returns the lines that it says too."""
    (tmp_path / "stand_in_placer.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    spawn = placing.spawn
    monkeypatch.setattr(placing, "spawn", lambda words, **more: spawn(["stand_in_placer"], **more))

    def place(code, is_hurried=lambda: False):
        (tmp_path / "stand_in_placer.py").write_text(BEGIN + code)
        lines = []
        return Placing(TASK, tmp_path, lines.append, is_hurried), lines

    return place


def test_lines_come_in_order_and_its_end_is_that_of_stdin(place, tmp_path):
    code = 'print(json.dumps({"placed": True}), flush=True)\ngo = json.loads(sys.stdin.readline())\n'
    code += 'for word in (go["run"], "second"): print(json.dumps({"say": word}), flush=True)\nsys.stdin.read()\n'
    found, lines = place(code)
    with found:
        found.await_placed(lambda: False)
        found.start(Path("run"), tmp_path, "h" * 40, tmp_path)
        deadline_s = time.monotonic() + 60.0
        while len(lines) < 2 and time.monotonic() < deadline_s:
            found.look()
    assert lines == ["run", "second"]


def test_refusal_is_a_usage_error(place):
    found, _ = place('print(json.dumps({"refused": "--ray: no"}), flush=True)\n')
    with found, pytest.raises(UsageError, match="--ray: no"):
        found.await_placed(lambda: False)


def test_end_before_the_pods_were_placed_is_told(place, tmp_path):
    found, _ = place("sys.exit(7)\n")
    with found, pytest.raises(MzpipeError, match=r"Ray's client ended with exit code 7 before .*: see .*ray\.log"):
        found.await_placed(lambda: False)


def test_end_later_is_told_once_and_the_run_goes_on(place):
    found, lines = place('print(json.dumps({"placed": True}), flush=True)\n')
    with found:
        found.await_placed(lambda: False)
        deadline_s = time.monotonic() + 60.0
        while not lines and time.monotonic() < deadline_s:
            found.look()
        found.look()
    assert len(lines) == 1 and "the run goes on without its pods" in lines[0]


def test_hurried_stop_waits_for_nothing(place):
    code = 'print(json.dumps({"placed": True}), flush=True)\ntime.sleep(600)\n'
    found, lines = place(code, is_hurried=lambda: True)
    found.await_placed(lambda: False)
    began_s = time.monotonic()
    found.close()
    assert time.monotonic() - began_s < 2.0
    assert lines == ["--ray: the pods are not stopped yet: Ray ends them after this run"]


def test_signal_ends_the_wait(place):
    found, _ = place("time.sleep(600)\n", is_hurried=lambda: True)
    with found:
        found.await_placed(lambda: True)
    assert not os.path.exists(f"/proc/{found._child.pid}")
