"""What happens when processes die, signals come, or two starts meet."""

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import termios
import time
from pathlib import Path

import psutil
import pytest
import zmq

from mzpipe.errors import MzpipeError
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.runs.checkpoint import CheckpointStore
from mzpipe.runs.directory import RunDirectory
from tests.pipeline.driver import START_S, clean, command, mzpipe
from tests.processes import alive, status
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def check_second_start_is_refused(run):
    second = mzpipe("train", run.profile, "--run-dir", run.directory)
    assert second.returncode == 3
    assert f"already running as pid {run.process.pid}" in second.stderr
    check_training_goes_on(run)


def check_training_goes_on(run):
    steps = run.learner_steps()
    wait_until(lambda: run.learner_steps() > steps + 50, START_S, "training goes on")


def check_role_is_started_again(run, identity):
    pid = run.roles()[identity]
    os.kill(pid, signal.SIGKILL)
    run.wait_for_line(rf"{identity} \(pid {pid}\) was killed by SIGKILL: it is started again")
    wait_until(lambda: run.roles().get(identity, pid) != pid, START_S, "a successor")
    check_training_goes_on(run)


def check_stopped_role_is_killed_and_started_again_with_its_stack_in_its_log(run, identity):
    pid = run.roles()[identity]
    os.kill(pid, signal.SIGSTOP)
    run.wait_for_line(rf"{identity}: no progress for \d+\.\d s, .*: its stack is in .*/{identity}\.log")
    run.wait_for_line(rf"{identity} \(pid {pid}\) made no progress for \d+\.\d s and was killed: it is started again")
    wait_until(lambda: run.roles().get(identity, pid) != pid, START_S, "a successor")
    log = (run.directory / "logs" / f"{identity}.log").read_text()
    assert re.search(r"no progress for .*\n(Current thread|Thread) .*most recent call first[\s\S]+ in run_agent", log)
    check_training_goes_on(run)


def check_ctrl_z_pauses_every_process_until_the_supervisor_is_told_to_go_on(run):
    pids = [run.process.pid, *run.roles().values()]
    run.process.send_signal(signal.SIGTSTP)
    wait_until(lambda: all(status(pid) == psutil.STATUS_STOPPED for pid in pids), START_S, "everybody is stopped")
    run.process.send_signal(signal.SIGCONT)
    run.wait_for_line("the run goes on")
    check_training_goes_on(run)
    assert sorted([run.process.pid, *run.roles().values()]) == sorted(pids)


def check_nonsense_on_the_control_socket_is_refused_in_three_lines(run):
    roles = run.roles()
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.connect(f"ipc://{run.runtime / 'control'}")
    for _ in range(5):
        socket.send(b"nonsense")
    run.wait_for_line("a control message is refused: message version", count=3)
    check_training_goes_on(run)
    assert run.roles() == roles
    socket.close(linger=0)


def check_signal_drains_saves_and_ends(run, number, code):
    roles, steps = run.roles(), run.learner_steps()
    assert len(roles) == 5
    os.killpg(run.process.pid, number)  # as a terminal does: to the whole foreground group
    sent_s = time.monotonic()
    assert run.wait(10) == code
    assert time.monotonic() - sent_s < 10
    assert not any(alive(pid) for pid in roles.values())
    saved = CheckpointStore(run.directory / "checkpoints").load("latest").state["learner_steps"]
    assert saved >= steps > 0


def test_live_run_outlives_a_second_start_and_kills_and_is_saved_by_ctrl_c(start):
    """One run, because each start costs seconds: exit 3, nonsense, restarts, a silent role, a pause, exit 130."""
    run = start()
    run.wait_ready()
    check_second_start_is_refused(run)
    check_nonsense_on_the_control_socket_is_refused_in_three_lines(run)
    check_role_is_started_again(run, "actor-0")
    check_role_is_started_again(run, "evaluator-0")
    check_role_is_started_again(run, "inference-0")
    check_role_is_started_again(run, "replay-0")
    run.wait_for_line(r"replay-0: restored [\d,]+ transitions of [\d,]+ inserted so far; \d+ lost in a kill")
    check_stopped_role_is_killed_and_started_again_with_its_stack_in_its_log(run, "actor-0")
    check_ctrl_z_pauses_every_process_until_the_supervisor_is_told_to_go_on(run)
    check_signal_drains_saves_and_ends(run, signal.SIGINT, 130)
    assert run.output.count("a control message is refused") == 3
    assert "further ones are not shown" in run.output


def test_quit_drains_and_saves_like_ctrl_c(default_signals, start):
    """TERM and HUP end runs in tests below: one whose learner was killed, and one whose terminal goes."""
    run = start("learner.checkpoint_interval=1000000")  # only the stop saves a checkpoint
    run.wait_ready()
    check_training_goes_on(run)
    check_signal_drains_saves_and_ends(run, signal.SIGQUIT, 131)


def steps_of(directory):
    """Learner steps of a run that may not be live yet."""
    try:
        runtime = RunDirectory(directory).live().runtime_directory
        return DataPlane.attach(Path(runtime)).total("learner_steps")
    except (MzpipeError, OSError):
        return 0


def check_was_saved(directory, steps):
    assert CheckpointStore(directory / "checkpoints").load("latest").state["learner_steps"] >= steps > 0


def test_run_whose_terminal_goes_is_drained_and_saved(default_signals, profile, tmp_path):
    """The kernel sends HUP, and every later write to the terminal fails."""
    master, terminal = os.openpty()
    os.set_blocking(master, False)
    words = command("train", profile, "--run-dir", tmp_path / "run", "--set", "learner.checkpoint_interval=1000000")
    process = subprocess.Popen(
        words,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)

    def has_trained():
        with contextlib.suppress(BlockingIOError):
            os.read(master, 1 << 16)
        return steps_of(tmp_path / "run") > 20

    try:
        wait_until(has_trained, START_S, "some learner steps")
        steps = steps_of(tmp_path / "run")
        os.close(master)
        assert process.wait(START_S) == 129
    finally:
        process.kill()
        process.wait(10)
    check_was_saved(tmp_path / "run", steps)


def test_run_continues_when_its_output_has_no_reader_and_is_saved_at_its_end(default_signals, profile, tmp_path):
    words = command("train", profile, "--run-dir", tmp_path / "run", "--serial")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()
        process.stdout.close()
        wait_until(lambda: steps_of(tmp_path / "run") > 20 or process.poll() is not None, START_S, "some learner steps")
        steps = steps_of(tmp_path / "run")
        process.send_signal(signal.SIGHUP)
        assert process.wait(START_S) == 129
        assert process.stderr.read() == "mzpipe: output cannot be written (Broken pipe): continuing without it\n"
    finally:
        process.kill()
        process.wait(10)
        process.stderr.close()
    check_was_saved(tmp_path / "run", steps)


@pytest.mark.alone
def test_second_signal_ends_the_run_within_2_seconds(start):
    run = start()
    roles = run.wait_ready()
    os.kill(roles["learner-0"], signal.SIGSTOP)  # a checkpoint will never come
    run.process.send_signal(signal.SIGINT)
    run.wait_for_line("stopping: SIGINT")
    run.process.send_signal(signal.SIGINT)
    sent_s = time.monotonic()
    assert run.wait(5) == 130
    assert time.monotonic() - sent_s < 2
    wait_until(lambda: not any(alive(pid) for pid in roles.values()), 1, "nothing left")


def test_kill_of_the_supervisor_leaves_no_process_and_the_next_start_sweeps(start, foreign_directories):
    run = start()
    roles = run.wait_ready()
    assert all(alive(pid) for pid in roles.values())
    runtime = run.runtime
    run.process.kill()
    killed_s = time.monotonic()
    wait_until(lambda: not any(alive(pid) for pid in roles.values()), 2, "every role gone")
    assert time.monotonic() - killed_s < 2
    assert runtime.is_dir()  # no process was left to remove it
    again = start("stop.learner_steps=50", name="other")
    assert again.wait() == 0
    assert re.search(rf"removed {runtime}.*left by a run that was killed", again.output)
    for path in foreign_directories:
        assert (path / "segment").is_file()
        assert path.name not in again.output


def test_run_ends_with_70_and_says_why_when_the_replay_server_without_a_journal_is_killed(start):
    run, identity = start("replay.journal=false"), "replay-0"
    roles = run.wait_ready()
    os.kill(roles[identity], signal.SIGKILL)
    assert run.wait() == 70
    assert f"{identity} (pid {roles[identity]}) was killed by SIGKILL" in run.output.rstrip().splitlines()[-1]
    assert "started again" not in run.output
    assert not any(alive(pid) for pid in roles.values())


def test_killed_learner_resumes_from_its_checkpoint_with_newer_weights_until_term_drains_and_saves(start):
    run = start("learner.checkpoint_interval=50")
    roles = run.wait_ready()
    wait_until(lambda: run.learner_steps() > 100, START_S, "some learner steps")
    os.kill(roles["learner-0"], signal.SIGKILL)
    run.wait_for_line(r"learner-0 \(pid \d+\) was killed by SIGKILL: training resumes from the latest checkpoint")
    saved = CheckpointStore(run.directory / "checkpoints").load("latest").state
    wait_until(lambda: run.roles().get("learner-0", roles["learner-0"]) != roles["learner-0"], START_S, "a new learner")
    others = {identity: pid for identity, pid in run.roles().items() if identity != "learner-0"}
    assert others == {identity: pid for identity, pid in roles.items() if identity != "learner-0"}
    wait_until(lambda: _newest_state(run)["learner_steps"] > saved["learner_steps"], START_S, "another checkpoint")
    assert _newest_state(run)["weights_version"] > saved["weights_version"]
    check_signal_drains_saves_and_ends(run, signal.SIGTERM, 143)


def _newest_state(run):
    return CheckpointStore(run.directory / "checkpoints").load("latest").state


def test_ranks_train_together_and_start_again_together_when_one_is_killed(start):
    run = start("learner.devices=['cpu','cpu']", "learner.checkpoint_interval=50", "stop.learner_steps=1000")
    roles = run.wait_for_processes(6)
    wait_until(lambda: run.learner_steps() > 50, START_S, "a checkpoint of trained weights")
    os.kill(roles["learner-1"], signal.SIGKILL)
    run.wait_for_line(r"learner-1 \(pid \d+\) was killed by SIGKILL: training resumes from the latest checkpoint")
    wait_until(lambda: len(run.roles()) == 6, START_S, "six roles again")
    again = run.roles()
    assert not {again["learner-0"], again["learner-1"]} & set(roles.values())
    assert {again["actor-0"], again["replay-0"]} < set(roles.values())
    assert run.wait() == 0
    assert "stop.learner_steps=1000 reached" in run.output
    assert _newest_state(run)["learner_steps"] == 1000
    assert run.output.count("training resumes from the latest checkpoint") == 1


def test_external_role_is_left_to_be_started_by_hand(start):
    run = start("topology.external=actor", "stop.learner_steps=100")
    run.wait_for_line("waiting for: mzpipe-actor .*run --index 0")
    assert "actor-0" not in run.roles()
    wrong = mzpipe("role", "replay", run.directory)
    assert wrong.returncode == 2
    assert "start the run with --set topology.external=replay" in wrong.stderr
    actor = subprocess.Popen(command("role", "actor", run.directory), stdin=subprocess.DEVNULL)
    try:
        assert run.wait() == 0, run.output
        assert actor.wait(START_S) == 0
    finally:
        actor.kill() if actor.poll() is None else None


def test_external_role_ends_when_the_supervisor_is_killed_and_clean_removes_what_it_left(
    start, foreign_directories, tmp_path
):
    """One run for both, because each start costs seconds."""
    run = start("topology.external=actor")
    run.wait_for_line("waiting for: mzpipe-actor")
    actor = subprocess.Popen(command("role", "actor", run.directory), stdin=subprocess.DEVNULL)
    try:
        run.wait_for_line("all 5 processes are ready")
        second = mzpipe("role", "actor", run.directory)
        assert second.returncode == 2
        assert second.stderr == f"mzpipe role: actor-0: already running as pid {actor.pid}: give another --index\n"
        check_training_goes_on(run)
        runtime = run.runtime
        run.process.kill()
        actor.wait(START_S)
    finally:
        actor.kill() if actor.poll() is None else None
    wait_until(lambda: not run.roles(), START_S, "every role gone")
    check_clean_removes(runtime, foreign_directories, clean(tmp_path))


def check_clean_removes(runtime, foreign_directories, result):
    assert result.returncode == 0
    assert result.stdout.count(f"removed {runtime}\n") == 1
    assert not runtime.exists()
    for path in foreign_directories:
        assert (path / "segment").is_file()
        assert path.name not in result.stdout
