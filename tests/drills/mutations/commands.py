"""The commands that meet each mutation, and what each answers."""

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mzpipe.cli.main import main
from mzpipe.errors import CheckpointError
from mzpipe.runs import directory as directory_module
from mzpipe.runs.checkpoint import LATEST, CheckpointStore

from .mutation import Mutation

_LARGE_BYTES = 1 << 26
_PROFILE, _CHECKPOINTS, _JOURNAL, _SCORES = "run/profile", "run/checkpoints", "run/journal", "run/scores"
_LOCK, _MEMORY = "run/run.lock", "shm"


class Place(NamedTuple):
    """Where a run and its shared memory stand, and where commands write; always the same, because lines name it."""

    home: Path

    @property
    def root(self) -> Path:
        """All that is copied, changed and compared."""
        return self.home / "work"

    @property
    def run(self) -> Path:
        """The run directory."""
        return self.root / "run"

    @property
    def memory(self) -> Path:
        """What stands for /dev/shm."""
        return self.root / "shm"

    @property
    def out(self) -> Path:
        """A directory for files that a command is asked for."""
        return self.home / "out"

    @property
    def profile(self) -> Path:
        """The user's own profile, which no mutation changes."""
        return self.home / "tiny.toml"


def _said(place: Place, output: str) -> object:
    """What was printed, and every file that was written."""
    files = {str(path.relative_to(place.out)): _digest(path) for path in place.out.rglob("*") if path.is_file()}
    return output, files


def _nothing(place: Place, output: str) -> object:
    return None


def _saved(place: Place, output: str) -> object:
    """The weights and the optimiser after training."""
    try:
        checkpoint = CheckpointStore(place.run / "checkpoints").load(LATEST)
    except CheckpointError as error:
        return str(error)
    arrays = {**checkpoint.weights, **{f"optimizer {name}": each for name, each in checkpoint.optimizer.items()}}
    return {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}


class Command(NamedTuple):
    """A command line, and the function that gets its answer; a command that changes the run is `train`."""

    name: str
    line: str
    answer: Callable[[Place, str], object] = _said
    changes: bool = False
    # Whether it can be asked for a checkpoint by name.
    takes_checkpoint: bool = False
    # Entries that it reads, or that stand in directories which it reads; all of them.
    reads: tuple[str, ...] = ("",)
    # Whether only every other mutation meets it.
    is_slow: bool = False

    def meets(self, number: int, mutation: Mutation) -> bool:
        """Whether it is given to the run with the mutation of this number."""
        is_read = mutation.name == "swap" or mutation.target.startswith((_PROFILE, *self.reads))
        return is_read and not (self.is_slow and number // 2 % 2)

    @property
    def verb(self) -> str:
        """Its first word."""
        return self.line.partition(" ")[0]

    def function(self, place: Place) -> Callable[[], int]:
        """Runs the command with what the place has for /dev/shm."""
        words = [word.format(place=place) for word in self.line.split()]

        def run() -> int:
            directory_module.SHARED_MEMORY = place.memory
            return main(words)

        return run

    def with_checkpoint(self, name: str) -> "Command":
        """The same with a checkpoint that is named."""
        line = re.sub(r" --checkpoint \S+|$", f" --checkpoint {name}", self.line, count=1)
        return self._replace(line=line)


_EVAL = Command(
    "eval latest",
    "eval {place.run} --episodes 2 --simulations 2 --json {place.out}/eval.json --checkpoint latest",
    takes_checkpoint=True,
    reads=(_CHECKPOINTS,),
)
_SLOW = _EVAL._replace(is_slow=True)
TRAIN = "train {place.profile} --run-dir {place.run} --serial --set stop.learner_steps="
READERS = (
    _EVAL,
    _EVAL.with_checkpoint("best")._replace(name="eval best"),
    _SLOW._replace(name="export --onnx", line="export --onnx {place.run} --to {place.out}/onnx"),
    _SLOW._replace(name="inspect", line="inspect {place.run} --step 3 --html {place.out}/move.html"),
    _SLOW._replace(name="elo", line="elo {place.run} --openings 1 --rollouts 1", takes_checkpoint=False),
    Command("export", "export {place.run} --to {place.out}/dataset", reads=(_JOURNAL,)),
    Command("top", "top {place.run} --once", reads=(_SCORES, _LOCK, _MEMORY)),
    Command("scores", "scores {place.run} --json {place.out}/scores.json", reads=(_SCORES,)),
    Command(
        "plan",
        "plan {place.run}/profile.toml --run-dir {place.run}",
        _nothing,
        reads=(_CHECKPOINTS, _JOURNAL, _SCORES, _LOCK),
        is_slow=True,
    ),
    Command(
        "plan init_from",
        "plan {place.profile} --set learner.init_from={place.run}",
        _nothing,
        reads=(_CHECKPOINTS,),
        is_slow=True,
    ),
)


def train_to(learner_steps: int) -> Command:
    """Resumes the run until it has this many steps."""
    return Command("train", f"{TRAIN}{learner_steps}", _saved, changes=True, is_slow=True)


def snapshot(root: Path) -> dict[str, object]:
    """Every entry's kind, mode and contents; opens plain files only."""
    return {str(path.relative_to(root)): _facts(path) for path in sorted(root.rglob("*"))}


def _facts(path: Path) -> object:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path)
    if not stat.S_ISREG(status.st_mode):
        return status.st_mode
    is_small = status.st_size <= _LARGE_BYTES
    contents: object = None
    with contextlib.suppress(PermissionError):
        contents = _digest(path) if is_small else status.st_blocks
    return status.st_mode, status.st_size, contents


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
