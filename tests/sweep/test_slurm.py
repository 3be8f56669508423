"""Runs as jobs, on submitit's stand-in for a cluster."""

import os
import signal

import pytest

from mzpipe.errors import ExitCode, UsageError
from mzpipe.sweep.slurm import SlurmRunner, parse_settings
from tests.sweep.made import SPACE, Sweep
from tests.waiting import wait_until

# submitit's stand-in never waits for its processes.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def runner(sweep):
    return SlurmRunner(sweep.directory.path, {"cluster": "local"}, ("tests.sweep.fake",))


def engine_of(sweep):
    engine = sweep.engine(jobs=2)
    engine.runner = runner(sweep)
    return engine


def test_trials_run_as_jobs_and_their_ends_are_told_apart(tmp_path):
    failed = {"code": 70, "says": "mzpipe train: the loss is not finite\n"}
    sweep = Sweep(tmp_path / "sweep", f"trials = 2\n{SPACE}", **{"trial-0001": failed})
    assert engine_of(sweep).run().exit_code == ExitCode.FINISHED
    assert [(row.state, row.note) for row in sweep.rows()] == [("complete", ""), ("failed", "the loss is not finite")]


def test_interrupt_ends_jobs_in_order_and_the_next_session_submits_them_again(tmp_path):
    sweep = Sweep(tmp_path / "sweep", f"trials = 1\n{SPACE}", all={"hangs": True})
    engine = engine_of(sweep)
    held = engine._wait

    def wait(signals):
        if (sweep.directory.path / "starts").exists():
            os.kill(os.getpid(), signal.SIGINT)
            engine._wait = held
        held(signals)

    engine._wait = wait
    assert engine.run().exit_code == ExitCode.INTERRUPTED
    assert sweep.states() == ["running"] and "stopped by SIGTERM" in sweep.lines[-1]
    again = Sweep(tmp_path / "sweep", f"trials = 1\n{SPACE}")
    assert engine_of(again).run().exit_code == ExitCode.FINISHED and again.states() == ["complete"]


def test_preempted_job_is_queued_again_and_runs_on(tmp_path):
    sweep = Sweep(tmp_path / "sweep", f"trials = 1\n{SPACE}", all={"hangs": True})
    profile = tmp_path / "profile.toml"
    profile.write_text("")
    words = [str(profile), "--run-dir", str(sweep.directory.path / "trial-0000")]
    job = runner(sweep).start("trial-0000", words, tmp_path / "log")
    starts = tmp_path / "sweep" / "starts"
    wait_until(lambda: starts.exists() and starts.read_text(), 60.0, "the job's run")
    (tmp_path / "sweep" / "plan.json").write_text("{}")
    for child in children(job._job._process.pid):
        os.kill(child, signal.SIGUSR2)
    wait_until(lambda: job.code() is not None, 60.0, "the job's end")
    assert job.code() == 0 and len(sweep.starts()) == 2


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return map(int, file.read().split())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"cluster": "moon"}, "cluster=moon: not one of slurm, local"),
        ({"cluster": "local", "partitoin": "gpu"}, "Unknown argument 'partitoin'"),
        ({"cluster": "local", "timeout_min": "soon"}, "timeout_min"),
    ],
)
def test_setting_that_the_cluster_does_not_know_is_one_line(tmp_path, settings, says):
    with pytest.raises(UsageError, match=says):
        SlurmRunner(tmp_path, settings)


def test_sweep_without_a_cluster_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("submitit.SlurmExecutor.affinity", lambda: -1)
    with pytest.raises(UsageError, match="there is no srun here"):
        SlurmRunner(tmp_path, {})


def test_settings_are_names_with_values():
    assert parse_settings("partition=gpu,timeout_min=600") == {"partition": "gpu", "timeout_min": "600"}
    for text in ("partition", "=gpu", "a=1,b="):
        with pytest.raises(UsageError, match="write it as partition=gpu"):
            parse_settings(text)
