"""The run that mutations change: trained, resumed, and killed in the middle of its second session."""

import io
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from mzpipe.cli.main import main
from mzpipe.launch import serial
from mzpipe.runs import directory as directory_module
from mzpipe.runs.checkpoint import LATEST, CheckpointStore
from tests.pipeline.driver import PROFILE

from .commands import READERS, TRAIN, Command, Place, train_to
from .damage import clear
from .forks import Limits, in_fork
from .judge import Truth
from .trial import meet

_FINISHED, _KILLED = 300, 430
# The learner steps that a resumed run is trained to.
MORE = 405
_LAPS_AFTER = 20
_LIMITS = Limits(seconds=900.0, processor_seconds=900)


def make_subject(home: Path, say: Callable[[str], None]) -> tuple[Place, Path]:
    """(place, copy): a run in `place`, and the copy from which it is made anew for each mutation."""
    place, kept = Place(home), home / "kept"
    place.memory.mkdir(parents=True)
    place.profile.write_text(PROFILE)
    say("training the run that is to be damaged ...")
    directory_module.SHARED_MEMORY = place.memory
    words = [word.format(place=place) for word in f"{TRAIN}{_FINISHED}".split()]
    # In this process, so that kernels and libraries are loaded for all forks.
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as errors:
        assert main(words) == 0, errors.getvalue()
        for command in READERS:
            place.out.mkdir(exist_ok=True)
            command.function(place)()
    done = in_fork(lambda: _killed(place), _LIMITS)
    assert done.code == -signal.SIGKILL, done.errors
    shutil.copytree(place.root, kept)
    return place, kept


def _killed(place: Place) -> int:
    """Resumes the run; ends this process a few laps after the checkpoint of step 400, without a word."""
    store, lap, laps = CheckpointStore(place.run / "checkpoints"), serial.SerialPipeline.lap, iter(range(_LAPS_AFTER))

    def lap_until_killed(pipeline: serial.SerialPipeline) -> int:
        if store.has(LATEST) and store.pointed(LATEST) > f"step_{_FINISHED:08d}" and next(laps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return lap(pipeline)

    serial.SerialPipeline.lap = lap_until_killed  # type: ignore[method-assign]
    return train_to(_KILLED).function(place)()


def renew(place: Place, kept: Path) -> None:
    """Puts the sound run in its place."""
    clear(place.root)
    shutil.copytree(kept, place.root, symlinks=True)


def truths(place: Place, kept: Path, commands: list[Command], limits: Limits) -> dict[str, Truth]:
    """What each command does with the sound run, by the command's name."""
    names = CheckpointStore(kept / "run" / "checkpoints").names()
    found = {}
    for command in commands:
        renew(place, kept)
        seen = meet(command, place, limits)
        others = {}
        if command.takes_checkpoint:
            others = {name: meet(command.with_checkpoint(name), place, limits).answer for name in names}
        found[command.name] = Truth(seen, others)
    return found
