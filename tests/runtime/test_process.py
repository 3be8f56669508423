"""Birth and death of processes: exec, thread caps, death notice, no orphans."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from mzpipe.errors import InputOutputError
from mzpipe.runtime import environment
from mzpipe.runtime.process import make_death_pipe, spawn
from tests.processes import alive
from tests.waiting import eventually

pytestmark = pytest.mark.slow
HOME = str(Path(__file__).resolve().parents[2])


def test_child_environment_caps_threads_before_exec(tmp_path):
    with open(tmp_path / "log", "wb") as log:
        child = spawn(["json.tool", "--help"], environment=environment.child_environment(3), log=log)
    child.reap()
    child.close()
    found = environment.child_environment(3)
    assert {found[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")} == {"3"}
    assert "usage" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, HOME), ("", HOME), ("/a:/b", f"{HOME}:/a:/b"), (f"/a:{HOME}", f"{HOME}:/a"), (":/a:", f"{HOME}:/a")],
)
def test_child_environment_names_the_package_first_and_not_the_working_directory(monkeypatch, before, after):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if before is not None:
        monkeypatch.setenv("PYTHONPATH", before)
    assert environment.child_environment(1)["PYTHONPATH"] == after


def test_child_does_not_import_from_its_working_directory(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("print('was imported')")
    monkeypatch.chdir(tmp_path)
    with open(tmp_path / "log", "wb") as log:
        child = spawn(["json.tool", "--help"], environment=environment.child_environment(1), log=log)
    assert child.reap() == 0
    child.close()
    assert "was imported" not in (tmp_path / "log").read_text()


def test_kernel_cache_changes_with_any_source_file_and_is_private(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(environment, "_PACKAGE", tmp_path)
    (tmp_path / "kernel.py").write_text("a = 1")
    first = environment.kernel_cache()
    assert first == environment.kernel_cache()
    (tmp_path / "kernel.py").write_text("a = 2")
    assert environment.kernel_cache() != first
    monkeypatch.setenv("NUMBA_CACHE_DIR", "kept")
    environment.prepare_environment()
    assert environment.kernel_cache().stat().st_mode & 0o777 == 0o700


def test_prepare_environment_refuses_a_kernel_cache_that_others_can_write_to(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    environment.kernel_cache().mkdir(parents=True)
    environment.kernel_cache().chmod(0o777)
    with pytest.raises(
        InputOutputError, match=r"^kernel cache .*: others can write to it \(owner \d+, mode 777\), and"
    ):
        environment.prepare_environment()


def test_prepare_environment_refuses_a_place_where_no_directory_can_be(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(
        InputOutputError, match="Not a directory: point XDG_CACHE_HOME to a directory that you can write"
    ):
        environment.prepare_environment()


def test_death_of_a_child_is_noticed_by_its_pidfd(tmp_path):
    with open(tmp_path / "log", "wb") as log:
        child = spawn(["http.server", "--help"], environment=os.environ, log=log)
    poller = select.poll()
    poller.register(child.pidfd, select.POLLIN)
    assert poller.poll(30_000)
    assert child.reap() == 0
    child.close()


PARENT = """
import subprocess, sys
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
child.stdout.readline()
sys.stdout.write(f"{child.pid}\\n")
sys.stdout.flush()
sys.exit(7)
"""


def test_reaped_child_takes_along_what_it_had_started_and_left_behind(tmp_path):
    """A game's child that ignores TERM, for example; whoever waits for the end of a child has it reaped."""
    (tmp_path / "parent.py").write_text(PARENT)
    with open(tmp_path / "log", "wb") as log:
        child = spawn(["parent"], environment={"PYTHONPATH": str(tmp_path)}, log=log, stdout=subprocess.PIPE)
    left = int(child.process.stdout.readline())
    try:
        assert alive(left)
        assert (child.reap(), child.reap()) == (7, 7)
        assert eventually(lambda: not alive(left))
    finally:
        child.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)


FOLLOWER = """
import os, signal, sys, time
from pathlib import Path
from mzpipe.runtime import process
if sys.argv[3] == "pipe only":
    process.ctypes.CDLL = lambda *a, **k: type("NoPrctl", (), {"prctl": staticmethod(lambda *a: 0)})
if sys.argv[3] == "signal only":
    process._die_with_supervisor = lambda descriptor: None
if sys.argv[3] != "neither":
    process.follow_supervisor(Path(sys.argv[1]), int(sys.argv[2]))
sys.stdout.write("following\\n")
sys.stdout.flush()
time.sleep(60)
"""
SUPERVISOR = """
import os, subprocess, sys
from pathlib import Path
from mzpipe.runtime.process import make_death_pipe
directory = Path(sys.argv[1])
pipe = make_death_pipe(directory)
words = [sys.executable, sys.argv[2], str(directory), str(os.getpid()), sys.argv[3]]
child = subprocess.Popen(words, stdout=subprocess.PIPE)
child.stdout.readline()
sys.stdout.write(f"{child.pid}\\n")
sys.stdout.flush()
child.wait()
"""


@pytest.mark.parametrize(
    ("net", "dies"), [("both", True), ("signal only", True), ("pipe only", True), ("neither", False)]
)
def test_follower_dies_with_a_killed_supervisor_by_either_net_alone(tmp_path, net, dies):
    """The last case is the control: without a net the follower lives on."""
    (tmp_path / "follower.py").write_text(textwrap.dedent(FOLLOWER))
    (tmp_path / "supervisor.py").write_text(textwrap.dedent(SUPERVISOR))
    arguments = [sys.executable, tmp_path / "supervisor.py", tmp_path, tmp_path / "follower.py", net]
    paths = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    supervisor = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths})
    follower = int(supervisor.stdout.readline())
    assert alive(follower)
    supervisor.kill()
    supervisor.wait(120)
    supervisor.stdout.close()
    died = eventually(lambda: not alive(follower), 60.0 if dies else 2.0)
    if not died:
        os.kill(follower, signal.SIGKILL)
    assert died is dies


def test_follower_leaves_what_a_terminal_sends_to_its_supervisor(default_signals, tmp_path):
    code = """
import os, signal, sys
from pathlib import Path
from mzpipe.runtime.process import follow_supervisor
follow_supervisor(Path(sys.argv[1]), None)
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    signal.raise_signal(number)
sys.stdout.write("lives")
"""
    descriptor = make_death_pipe(tmp_path)
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=250)
    os.close(descriptor)
    assert (done.returncode, done.stdout) == (0, "lives"), done.stderr


def test_make_death_pipe_does_not_wait_for_a_reader(tmp_path):
    descriptor = make_death_pipe(tmp_path)
    assert (tmp_path / "death").stat().st_mode & 0o777 == 0o600
    os.close(descriptor)


def test_kernel_cache_passes_over_a_source_that_is_being_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "_PACKAGE", tmp_path)
    (tmp_path / "gone.py").symlink_to(tmp_path / "nothing")
    assert environment.kernel_cache().name.startswith("kernels-")


def test_kernel_cache_is_removed_unless_a_process_that_lives_uses_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = environment.kernel_cache()
    code = "from mzpipe.runtime import environment; environment.prepare_environment(); print(flush=True); input()"
    user = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    user.stdout.readline()
    assert not environment.remove_unused(cache)
    assert cache.is_dir()
    user.communicate(b"\n", timeout=30)
    assert environment.remove_unused(cache)
    assert not cache.exists()


def test_process_makes_its_kernel_cache_again_when_it_is_removed_before_it_is_held(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(environment, "_held", [])
    cache, opened = environment.kernel_cache(), environment._open_locked

    def remove_then_open(path, operation):
        monkeypatch.setattr(environment, "_open_locked", opened)
        assert environment.remove_unused(path)
        return opened(path, operation)

    monkeypatch.setattr(environment, "_open_locked", remove_then_open)
    environment.prepare_environment()
    assert not environment.remove_unused(cache)
    os.close(*environment._held)


def test_end_process_flushes_what_was_written_and_leaves_out_the_tear_down():
    code = """
import atexit, sys
from mzpipe.runtime.process import end_process
atexit.register(print, "torn down")
sys.stdout.write("said")
sys.stderr.write("warned")
end_process(7)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250)
    assert (done.returncode, done.stdout, done.stderr) == (7, "said", "warned")


def test_process_began_between_its_parents_decision_and_its_own_first_line():
    program = "import time; first = time.monotonic(); from mzpipe.runtime import process; "
    before_s = time.monotonic()
    said = subprocess.check_output(
        [sys.executable, "-c", program + "print(first, process.process_began_s())"], text=True
    )
    first_s, began_s = map(float, said.split())
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    assert before_s - tick_s <= began_s <= first_s
