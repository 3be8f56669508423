"""Sweeps whose runs are made-up programs."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from mzpipe.errors import AlreadyRunningError, ExitCode
from mzpipe.sweep.jobs import core_shares
from tests.sweep.made import SPACE, Sweep
from tests.waiting import eventually

GRID = '[grid]\n"seed" = [0, 1]\n"learner.batch_size" = [8, 16]\n'


def is_alive(pid):
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(("objective", "value"), [("best", 3.0), ("last", 2.0)])
def test_trial_has_the_best_or_the_last_return_of_its_curve(tmp_path, objective, value):
    sweep = Sweep(
        tmp_path / "sweep", f'trials = 1\nobjective = "{objective}"\n{SPACE}', all={"returns": [1.0, 3.0, 2.0]}
    )
    assert sweep.run().exit_code == ExitCode.FINISHED
    assert [(row.state, row.value) for row in sweep.rows()] == [("complete", value)]


def test_failed_trial_keeps_its_one_line_and_the_sweep_continues(tmp_path):
    says = "a line\nmzpipe train: the loss is not finite\nTraceback: ...\n"
    sweep = Sweep(tmp_path / "sweep", **{"trial-0001": {"code": 70, "says": says}})
    assert sweep.run().exit_code == ExitCode.FINISHED
    assert sweep.states() == ["complete", "failed", "complete"]
    assert sweep.rows()[1].note == "the loss is not finite"


@pytest.mark.parametrize("returns", [[], [float("nan")]])
def test_run_without_a_finite_return_is_a_failed_trial(tmp_path, returns):
    sweep = Sweep(tmp_path / "sweep", **{"trial-0000": {"returns": returns}})
    sweep.run()
    assert sweep.states() == ["failed", "complete", "complete"]


def test_failures_in_a_row_end_the_sweep(tmp_path):
    plans = {f"trial-000{number}": {"code": 70, "says": "no\n"} for number in (0, 2, 3)}
    sweep = Sweep(tmp_path / "sweep", f"trials = 9\n{SPACE}", **plans)
    outcome = sweep.run(max_failures=2)
    assert outcome.exit_code == ExitCode.INTERNAL
    assert outcome.reason == "2 trials in a row have failed (max_failures=2), the last with: no"
    assert sweep.states() == ["failed", "complete", "failed", "failed"]


def test_trial_that_does_worse_than_the_others_is_pruned_and_ends_in_order(tmp_path):
    worse = {"returns": [1.0], "hangs": True}
    sweep = Sweep(
        tmp_path / "sweep", f"trials = 3\nstartup_trials = 2\n{SPACE}", all={"returns": [5.0]}, **{"trial-0002": worse}
    )
    assert sweep.run().exit_code == ExitCode.FINISHED
    assert [(row.state, row.value) for row in sweep.rows()][2] == ("pruned", 1.0)
    assert "trial-0002: pruned at 1.00 after 100 training steps" in sweep.lines


def test_no_trial_is_pruned_without_a_pruner(tmp_path):
    text = f'trials = 3\nstartup_trials = 1\npruner = "none"\n{SPACE}'
    sweep = Sweep(tmp_path / "sweep", text, all={"returns": [5.0]}, **{"trial-0002": {"returns": [1.0]}})
    sweep.run()
    assert sweep.states() == ["complete"] * 3


def test_interrupt_stops_every_run_in_order_and_the_next_session_resumes_them(tmp_path):
    sweep = Sweep(tmp_path / "sweep", f"trials = 2\n{SPACE}", all={"hangs": True})

    def interrupt(line):
        sweep.lines.append(line)
        if line.startswith("trial-0001: learner"):
            os.kill(os.getpid(), signal.SIGINT)

    assert sweep.run(jobs=2, line=interrupt).exit_code == ExitCode.INTERRUPTED
    assert sweep.states() == ["running", "running"]
    assert sum("the same command resumes it" in line for line in sweep.lines) == 2
    before = [row.settings for row in sweep.rows()]
    again = Sweep(tmp_path / "sweep", f"trials = 2\n{SPACE}")
    again.run(jobs=2)
    assert again.states() == ["complete", "complete"] and [row.settings for row in again.rows()] == before


def test_pause_stops_every_run_until_the_sweep_goes_on(tmp_path, monkeypatch):
    sweep, states = Sweep(tmp_path / "sweep", f"trials = 1\n{SPACE}", all={"hangs": True}), []
    starts, engine = tmp_path / "sweep" / "starts", sweep.engine()

    def state():
        return psutil.Process(int(sweep.starts()[0][1])).status()

    def stand_still(number):
        states.append((number, eventually(lambda: state() == psutil.STATUS_STOPPED)))

    def wait(signals):
        if states:
            states.append(eventually(lambda: state() == psutil.STATUS_SLEEPING))
            os.kill(os.getpid(), signal.SIGINT)
        elif eventually(lambda: starts.exists() and starts.read_text().endswith("\n")):
            os.kill(os.getpid(), signal.SIGTSTP)

    monkeypatch.setattr("mzpipe.sweep.engine.signal.raise_signal", stand_still)
    monkeypatch.setattr(engine, "_wait", wait)
    assert engine.run().exit_code == ExitCode.INTERRUPTED
    assert states[:2] == [(signal.SIGSTOP, True), True]


@pytest.mark.slow
def test_sweep_that_is_killed_at_any_point_loses_no_trial_and_runs_none_twice(tmp_path):
    words = [sys.executable, "-m", "tests.sweep.killed", str(tmp_path / "killed")]
    told = subprocess.run(words, capture_output=True, text=True, check=True, timeout=250)
    assert int(told.stdout) > 5, told.stderr
    unbroken = Sweep(tmp_path / "unbroken", f"trials = 2\nstartup_trials = 1\n{SPACE}")
    unbroken.run()
    assert Sweep(tmp_path / "killed").rows() == unbroken.rows()


def test_runs_end_with_a_sweep_that_is_killed(tmp_path):
    sweep = Sweep(tmp_path / "sweep", all={"hangs": True})
    pid = os.fork()
    if pid == 0:
        sweep.run()
        os._exit(0)
    starts = tmp_path / "sweep" / "starts"
    assert eventually(lambda: starts.exists() and starts.read_text().endswith("\n"))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert eventually(lambda: not is_alive(sweep.starts()[0][1]))


def test_second_sweep_in_a_directory_is_refused_while_the_first_lives(tmp_path):
    sweep = Sweep(tmp_path / "sweep")
    with (
        sweep.directory.locked(),
        pytest.raises(AlreadyRunningError, match=f"another sweep is live here, as pid {os.getpid()}"),
        sweep.directory.locked(),
    ):
        raise AssertionError


def test_trial_whose_run_still_lives_is_waited_for(tmp_path):
    sweep = Sweep(tmp_path / "sweep", f"trials = 1\n{SPACE}")
    sweep.study().next()
    with sweep.directory.run("trial-0000").locked() as locked:
        engine, waits = sweep.engine(), []
        held = engine._wait

        def wait(signals):
            waits.append(len(engine._live))
            if len(waits) == 2:
                os.close(locked._descriptor)
            held(signals)

        engine._wait = wait
        engine.run()
    assert waits[:2] == [0, 0] and sweep.states() == ["complete"]


def test_grid_trains_every_cell_once(tmp_path):
    sweep = Sweep(tmp_path / "sweep", GRID)
    sweep.run()
    cells = [("seed=0", 8), ("seed=0", 16), ("seed=1", 8), ("seed=1", 16)]
    assert [row.settings for row in sweep.rows()] == [(seed, f"learner.batch_size={size}") for seed, size in cells]
    assert sweep.states() == ["complete"] * 4 and len(sweep.starts()) == 4


def test_run_keeps_to_its_share_of_the_cores(tmp_path):
    sweep = Sweep(tmp_path / "sweep", f"trials = 2\n{SPACE}")
    sweep.run(jobs=len(os.sched_getaffinity(0)))
    assert all(len(cores.split(",")) == 1 for _, _, cores in sweep.starts())


@pytest.mark.parametrize(
    ("jobs", "shares"),
    [
        (1, [[4, 5, 6, 7, 9]]),
        (2, [[4, 5], [6, 7, 9]]),
        (5, [[4], [5], [6], [7], [9]]),
        (6, [[4], [5], [6], [7], [9], [4]]),
    ],
)
def test_cores_are_shared_out_in_parts_of_nearly_equal_size(jobs, shares):
    assert core_shares([4, 5, 6, 7, 9], jobs) == shares
