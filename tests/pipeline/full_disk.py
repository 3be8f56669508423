"""A run whose directory is a small file system of its own, which is filled and emptied; see test_full_disk.py.

Run as `python -m tests.pipeline.full_disk DIRECTORY` where DIRECTORY/run is that file system.
"""

import contextlib
import signal
import sys
from pathlib import Path

from mzpipe.replay.journal import read_journal
from mzpipe.runs.checkpoint import LATEST, CheckpointStore
from tests.pipeline.driver import START_S, Run, clean
from tests.waiting import wait_until

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


def main(directory: Path) -> None:
    run = Run(directory / "run", "telemetry.interval_s=0.5", "learner.checkpoint_interval=50")
    store, filler = CheckpointStore(run.directory / "checkpoints"), run.directory / "filler"
    try:
        wait_until(lambda: store.has(LATEST) and steps(store) > 0, 3 * START_S, "a checkpoint")
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
    finally:
        sys.stdout.write(run.output)
        if run.process.poll() is None:
            run.kill()
            clean(directory)


def steps(store: CheckpointStore) -> int:
    """The learner steps of the latest checkpoint."""
    return store.load(LATEST).state["learner_steps"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
