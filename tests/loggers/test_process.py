"""Loggers as other people's code: whatever one does, the run hears of it in one line and goes on."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mzpipe.errors import ConfigError, OwnCodeError, UsageError
from mzpipe.loggers import process as module
from mzpipe.loggers.known import check_name
from mzpipe.loggers.process import MAX_WAITING
from mzpipe.own_code import allow_own_code
from mzpipe.telemetry import loggers as group
from mzpipe.telemetry.loggers import Loggers, logged_run
from tests.loggers.bad import GOOD_POINTS
from tests.processes import alive
from tests.telemetry.samples import EVALUATION, training
from tests.tiny import tiny_profile
from tests.waiting import eventually, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def permission(monkeypatch):
    """--allow-env-import, and time for loggers to end on a machine that is busy."""
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "")
    allow_own_code(True)
    monkeypatch.setattr(group, "_STOP_S", 120.0)


def bad(name):
    return name if ":" in name else f"tests.loggers.bad:{name}"


class Session:
    """The loggers of a run, without a run."""

    def __init__(self, directory, *names, hurried=False):
        self.directory, self.lines = directory, []
        self.loggers = Loggers([*map(bad, names)], directory, self.lines.append, lambda: hurried)

    def open(self, env_steps=0):
        self.loggers.await_ready()
        (self.directory / "logs").mkdir(exist_ok=True)
        run = logged_run(tiny_profile(), self.directory, env_steps, env_steps)
        self.loggers.open(run, self.directory / "logs")

    def log(self, count):
        for step in range(count):
            self.loggers.log(training(env_steps=step, evaluation=None))

    def has_logged(self, count):
        """Whether the last of the loggers has logged so many points."""
        self.loggers.look()
        return self.loggers._processes[-1]._logged == count

    def calls(self):
        path = self.directory / "calls.txt"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("RaisesWhenMade", r"its constructor raised ValueError: no words \(bad.py, line \d+\)"),
        ("ExitsWhenMade", r"its constructor called sys.exit\('no account'\)"),
        ("DiesWhenMade", "ended with exit code 3"),
        ("Half", r"Half has no log\(\), close\(\) \(see docs/loggers.md\)"),
        ("Nonesuch", "has no Nonesuch"),
        (
            "tests.loggers.raises_at_import:Any",
            "import tests.loggers.raises_at_import raised RuntimeError: broken module",
        ),
        ("tests.loggers.dies_at_import:Any", "ended with exit code 4"),
        ("nonesuch:Any", "No module named 'nonesuch'"),
    ],
)
def test_logger_is_refused_before_the_run_begins_when_it_cannot_be_made(tmp_path, name, line):
    session = Session(tmp_path, name)
    with session.loggers, pytest.raises(OwnCodeError, match=rf"^telemetry.loggers.*{line}"):
        session.loggers.await_ready()
    assert session.lines == []


def test_logger_is_refused_when_it_is_never_made(tmp_path, monkeypatch):
    monkeypatch.setattr(group, "_START_S", 0.3)
    session = Session(tmp_path, "HangsWhenMade")
    with session.loggers, pytest.raises(OwnCodeError, match="HangsWhenMade is not ready after 0 s"):
        session.loggers.await_ready()
    assert session.lines == []


def test_wait_for_a_logger_ends_when_the_run_is_stopped(tmp_path):
    session = Session(tmp_path, "HangsWhenMade")
    with session.loggers:
        session.loggers.await_ready(lambda: True)


@pytest.mark.parametrize(
    ("name", "allowed", "line"),
    [
        ("tests.loggers.bad:Good", False, "this imports code: give --allow-env-import"),
        ("a b:c", True, "named module:Class"),
        ("wandb", True, "wandb is not installed: pip install 'mzpipe\\[wandb\\]'"),
    ],
)
def test_logger_is_refused_at_once_when_that_needs_no_import(monkeypatch, name, allowed, line):
    monkeypatch.setattr("mzpipe.extras.find_spec", lambda name: None)
    allow_own_code(allowed)
    with pytest.raises(UsageError, match=f"telemetry.loggers='{name}': .*{line}"):
        check_name(name)


@pytest.mark.parametrize("names", [["wandbb"], ["jsonl", "jsonl"]])
def test_profile_refuses_names_that_are_no_loggers_or_stand_there_twice(names):
    with pytest.raises(ConfigError, match=r"^telemetry.loggers"):
        tiny_profile(f"telemetry.loggers={names}")


@pytest.mark.parametrize(
    ("name", "logged", "lines"),
    [
        ("Good", 6, []),
        ("Babbles", 6, []),
        ("RaisesAtOpen", 0, [r"open\(\) raised ConnectionError: no network", "logged 0 of 6 points"]),
        ("Raises", 3, [r"log\(\) raised ConnectionError: no network", "logged 3 of 6 points"]),
        ("RaisesNow", 5, [r"log\(\) raised ConnectionError: no network", "logged 5 of 6 points"]),
        ("Exits", 3, [r"log\(\) called sys.exit\(1\)", "logged 3 of 6 points"]),
        ("Dies", 3, [r"ended with exit code 7: the run continues without it.*logger-.*Dies.log", "logged 3 of 6"]),
        ("Crashes", 3, ["was killed by SIGSEGV: the run continues without it", "logged 3 of 6 points"]),
        ("ClosesEverything", 3, ["ended with exit code", "logged 3 of 6 points"]),
        ("Hangs", 3, ["has not ended in time and is killed", "logged 3 of 6 points"]),
        ("HangsInC", 3, ["has not ended in time and is killed", "logged 3 of 6 points"]),
        ("RaisesAtClose", 6, [r"close\(\) raised ConnectionError: no network"]),
        ("HangsAtClose", 6, ["has not ended in time and is killed"]),
    ],
)
def test_run_goes_on_and_tells_it_in_one_line_when_a_logger_goes_wrong(tmp_path, name, logged, lines):
    session = Session(tmp_path, name, hurried=name.startswith("Hangs"))
    with session.loggers:
        session.open()
        session.log(6)
        if name.startswith("Hangs"):
            wait_until(lambda: session.has_logged(logged), 60.0, "it hangs")
        session.loggers.close()
    (process,) = session.loggers._processes
    assert (process._logged, process.is_over) == (logged, True)
    assert len(session.lines) == len(lines), session.lines
    for found, line in zip(session.lines, lines, strict=True):
        assert re.search(rf"^telemetry.loggers: .*{line}", found), found
    assert not alive(process._child.pid)


@pytest.mark.parametrize(("stopping_s", "most_s"), [(0.0, 120.0), (100.0, 20.0), (500.0, 1.0)])
def test_logger_has_what_is_left_of_the_stop_but_a_second_at_least(tmp_path, monkeypatch, stopping_s, most_s):
    waits = []
    monkeypatch.setattr(Loggers, "_look_until", lambda self, condition, most_s, is_given_up: waits.append(most_s))
    Loggers().close(stopping_s)
    assert waits == [most_s]


def test_log_returns_when_the_logger_never_does(tmp_path):
    session = Session(tmp_path, "HangsAtOnce", hurried=True)
    with session.loggers:
        session.open()
        session.log(10_000)  # a call that waited would wait for ever
        (process,) = session.loggers._processes
        assert len(process._waiting) == MAX_WAITING
        session.loggers.close()
    slow, killed, missing = session.lines
    assert "256 points wait, the oldest is dropped" in slow and "killed" in killed
    assert "has logged 0 of 10000 points" in missing


def test_slow_logger_gets_the_newest_points_and_the_others_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 4)
    session = Session(tmp_path, "Good")
    (process,) = session.loggers._processes
    with session.loggers:
        session.open()
        wait_until(lambda: session.calls() == ["open"], 60.0, "the logger is open")
        os.kill(process._child.pid, signal.SIGSTOP)
        session.log(2_000)
        os.kill(process._child.pid, signal.SIGCONT)
        session.loggers.close()
    steps = [line.split()[1] for line in (tmp_path / "calls.txt").read_text().splitlines() if "log" in line]
    assert steps[:1] == ["0"] and steps[-4:] == ["1996", "1997", "1998", "1999"]
    assert session.lines[1:] == [f"telemetry.loggers: {process.name} has logged {len(steps)} of 2000 points"]


def test_loggers_get_an_evaluation_as_a_point_of_its_own_and_once(tmp_path):
    session = Session(tmp_path, "Good")
    with session.loggers:
        session.open(env_steps=17)
        for step in (12_400, 12_500):
            session.loggers.log(training(env_steps=step))
        session.loggers.close()
    found = (tmp_path / "calls.txt").read_text().splitlines()
    assert found == ["open 17", f"log {EVALUATION.env_steps}", "log 12400", "log 12500", "close"]
    assert session.lines == []


def test_one_bad_logger_keeps_no_point_from_another_one(tmp_path):
    session = Session(tmp_path, "HangsAtOnce", "Good", hurried=True)
    with session.loggers:
        session.open()
        session.log(5)
        wait_until(lambda: session.has_logged(5), 60.0, "the good one has them all")
        session.loggers.close()
    assert not any(alive(process._child.pid) for process in session.loggers._processes)


def test_logger_ends_when_the_supervisor_is_killed(tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from mzpipe.loggers.process import LoggedRun, LoggerProcess\n"
        "home = Path(sys.argv[1])\n"
        "logger = LoggerProcess('tests.loggers.bad:HangsInC', home / 'log', print)\n"
        "logger.open(LoggedRun('run', home, {}, ()), home)\n"
        "[logger.log({}, step, step, 0.0) for step in range(6)]\n"
        "print(logger._child.pid, flush=True)\n"
        "time.sleep(600.0)\n"
    )
    environment = {**os.environ, "MZPIPE_ALLOW_ENV_IMPORT": "1"}
    words = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as supervisor:
        pid = int(supervisor.stdout.readline())
        calls = tmp_path / "calls.txt"
        wait_until(lambda: calls.exists() and calls.read_text().count("log") == GOOD_POINTS, 60.0, "it hangs")
        assert alive(pid)
        supervisor.kill()
        assert eventually(lambda: not alive(pid), 30.0)


def test_what_a_logger_prints_is_in_its_log(tmp_path):
    session = Session(tmp_path, "Babbles")
    with session.loggers:
        session.open()
        session.log(4)
        session.loggers.close()
    assert bytes(range(256)) in Path(tmp_path / "logs" / "logger-tests.loggers.bad.Babbles.log").read_bytes()
