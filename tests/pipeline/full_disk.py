"""Runs whose directory is a small file system of its own, which is filled and emptied; see test_full_disk.py.

Run as `python -m tests.pipeline.full_disk DIRECTORY SCENARIO` where DIRECTORY/run is that file system. `on_small_disk`
gives the words for this.
"""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mzpipe.replay.journal import read_journal
from mzpipe.runs.checkpoint import LATEST, CheckpointStore
from mzpipe.runtime.environment import prepare_environment
from tests.pipeline.driver import PROFILE, START_S, Run, clean
from tests.waiting import eventually, wait_until

_ALONE = ["unshare", "--map-root-user", "--mount"]  # needs no privileges where the kernel allows it
_SIZE = "12m"
_OVERRIDES = ("telemetry.interval_s=0.5", "learner.checkpoint_interval=50")
# In place of the hour for which a learner waits.
_PATIENCE_S = 15.0
REFUSED = (": checkpoints are tried again", "curves are tried again", "journal suspended")
AGAIN = (": checkpoints are written again", "curves are written again", "journal continues")


def fill(path: Path) -> bool:
    """Takes all room that is left; returns True."""
    with contextlib.suppress(OSError), open(path, "ab", buffering=0) as file:
        for size in (1 << 16, 1):  # the last page byte by byte
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    return True


def on_small_disk(directory: Path, scenario: str = "is_emptied") -> list[str]:
    """The command that plays a scenario; raises NotImplementedError with the reason where no disk can be mounted."""
    (directory / "run").mkdir()
    mount = f"mount -t tmpfs -o size={_SIZE} none {directory / 'run'}"
    try:
        probe = subprocess.run([*_ALONE, "sh", "-c", mount], capture_output=True, text=True)
    except FileNotFoundError:
        raise NotImplementedError("unshare is not installed") from None
    if probe.returncode != 0:
        raise NotImplementedError(f"no private mounts here: {probe.stderr.strip()}")
    script = f"{mount} && exec {sys.executable} -m tests.pipeline.full_disk {directory} {scenario}"
    return [*_ALONE, "sh", "-c", script]


def is_emptied(directory: Path) -> None:
    """Filled while the run is live, emptied again, and full at the last save."""
    with _run(directory) as (run, store, filler):
        wait_until(lambda: fill(filler) and all(line in run.output for line in REFUSED), START_S, f"{REFUSED}")
        saved = steps(store)
        assert run.process.poll() is None
        filler.unlink()
        wait_until(lambda: all(line in run.output for line in AGAIN), START_S, f"{AGAIN}")
        assert steps(store) > saved
        wait_until(lambda: fill(filler) and run.output.count(REFUSED[0]) == 2, START_S, "refused again")
        run.process.send_signal(signal.SIGTERM)
        wait_until(lambda: fill(filler) and run.process.poll() is not None, START_S, "the end")
        assert run.process.returncode == 74
        assert steps(store) > saved
        read_journal(run.directory / "journal")


def is_full_at_the_end(directory: Path) -> None:
    """Filled and stopped at once; emptied afterwards, the run resumes from the checkpoint before."""
    with _run(directory) as (run, store, filler):
        fill(filler)
        run.process.send_signal(signal.SIGTERM)
        wait_until(lambda: fill(filler) and run.process.poll() is not None, START_S, "the end")
        assert run.process.returncode == 74
        assert "no checkpoint is saved: " in run.output
        saved = steps(store)
        filler.unlink()
    with _run(directory) as (run, store, _):
        assert f"learner step {saved:,}" in run.output
        wait_until(lambda: steps(store) > saved, START_S, "a newer checkpoint")
        run.process.send_signal(signal.SIGTERM)
        assert run.wait() == 143


def is_never_emptied(directory: Path) -> None:
    """Filled for good: the run ends by itself, once its patience is at its end.

    It is a serial one, so that the patience of its learner can be set here.
    """
    prepare_environment()  # before numba is loaded
    from mzpipe.cli.main import main as mzpipe_main
    from mzpipe.learner import learner

    learner._PATIENCE_S = _PATIENCE_S
    profile, run = directory / "tiny.toml", directory / "run"
    profile.write_text(PROFILE)
    store, filler, begun_s, ended = CheckpointStore(run / "checkpoints"), run / "filler", [], threading.Event()

    def keep_full() -> None:
        eventually(lambda: store.has(LATEST) and steps(store) > 0, START_S)
        begun_s.append(time.monotonic())
        while fill(filler) and not ended.wait(0.05):
            pass

    thread = threading.Thread(target=keep_full)
    thread.start()
    sets = [word for override in _OVERRIDES for word in ("--set", override)]
    code = mzpipe_main(["train", str(profile), "--run-dir", str(run), "--serial", *sets])
    waited_s = time.monotonic() - begun_s[0]
    ended.set()
    thread.join()
    filler.unlink()
    assert code == 74
    assert _PATIENCE_S < waited_s < 4 * _PATIENCE_S, waited_s
    assert steps(store) > 0
    read_journal(run / "journal")


SCENARIOS: dict[str, Callable[[Path], None]] = {
    each.__name__: each for each in (is_emptied, is_full_at_the_end, is_never_emptied)
}


@contextlib.contextmanager
def _run(directory: Path) -> Iterator[tuple[Run, CheckpointStore, Path]]:
    """A live run that has saved a checkpoint, its checkpoints, and the file that fills its disk."""
    run = Run(directory / "run", *_OVERRIDES)
    store = CheckpointStore(run.directory / "checkpoints")
    try:
        run.wait_for_line("all 5 processes are ready", 3 * START_S)
        wait_until(lambda: store.has(LATEST) and steps(store) > 0, START_S, "a checkpoint")
        yield run, store, run.directory / "filler"
    finally:
        sys.stdout.write(run.output)
        if run.process.poll() is None:
            run.kill()
            clean(directory)


def steps(store: CheckpointStore) -> int:
    """The learner steps of the latest checkpoint."""
    return store.load(LATEST).state["learner_steps"]


if __name__ == "__main__":
    SCENARIOS[sys.argv[2]](Path(sys.argv[1]))
