"""One command at one place: what it did, what it answered and what it changed."""

import shutil

from .commands import Command, Place, snapshot
from .forks import Limits, in_fork
from .judge import Seen


def meet(command: Command, place: Place, limits: Limits) -> Seen:
    """Gives the command to the run that stands in the place."""
    shutil.rmtree(place.out, ignore_errors=True)
    place.out.mkdir()
    before = snapshot(place.root)
    done = in_fork(command.function(place), limits)
    after = snapshot(place.root)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return Seen(done, command.answer(place, done.output) if done.code == 0 else None, changed)
