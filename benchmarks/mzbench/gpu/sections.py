"""The sections of the case, by name; a section's module is loaded only in its own process."""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import NamedTuple, cast

from mzpipe.errors import UsageError

from .lines import Line, Setting

Measure = Callable[[Setting], Iterator[Line]]


class Section(NamedTuple):
    """One section: what it measures, the seconds it may take, and the function that measures it."""

    summary: str
    budget_s: float
    place: str
    # Whether it starts a whole run, which compiles its kernels if they are not.
    is_run: bool = False

    def load(self) -> Measure:
        """Imports the function."""
        module, _, name = self.place.partition(":")
        return cast(Measure, getattr(import_module(f".{module}", __package__), name))


# In the order in which they are run. The budgets together are less than ten minutes.
SECTIONS = {
    "kernels": Section("compiling what whole runs need, once a machine", 75, "pipeline:kernels"),
    "correct": Section("answers and losses against the CPU", 45, "correct:measure"),
    "launch": Section("the host's time for a launch", 20, "host:launches"),
    "copies": Section("copies to the card: pageable, pinned, registered", 20, "host:copies"),
    "inference": Section("batches: eager, captured, and the bare graph", 60, "inference:measure"),
    "lanes": Section("an inference server between lanes, against the bare graph", 35, "lanes:measure"),
    "learner": Section("training steps: eager, captured, compiled", 100, "learner:forms"),
    "feed": Section("steps fed from the batch ring against a resident batch", 35, "learner:feed"),
    "pipeline": Section("Pong with 50 simulations, whole, and its ceilings", 90, "pipeline:pong", is_run=True),
    "atari100k": Section("profiles/atari100k.toml, whole", 45, "pipeline:atari100k", is_run=True),
    "memory": Section("the card's memory against what the plan says", 30, "runs:memory", is_run=True),
    "kills": Section("kill -9 of the learner and of the inference server", 45, "runs:kills", is_run=True),
}
_KERNELS = "kernels"


def chosen_sections(names: Sequence[str]) -> list[str]:
    """These sections, or all; kernels come before whole runs. Raises UsageError for one that does not exist."""
    for name in names:
        if name not in SECTIONS:
            raise UsageError(f"gpu {name}: no such section; there are: {', '.join(SECTIONS)}")
    wanted = {*names} or {*SECTIONS}
    if any(SECTIONS[name].is_run for name in wanted):
        wanted.add(_KERNELS)
    return [name for name in SECTIONS if name in wanted]
