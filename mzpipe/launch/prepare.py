"""Finds out, before a run starts, what only a process with torch can: from memory, or by a rehearsal.

KERNEL CACHE/rehearsals/KEY    the result of one rehearsal that ended well, and the digest of KEY and result

KEY is a digest of what a rehearsal depends on, as `dependencies` lists it; decision 0025 names what that leaves out. If
any of it has changed, the pipeline is rehearsed again. The memory lies next to the kernels that it describes, and is
removed with them.
"""

import contextlib
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from ..config import Profile
from ..games import GameSpec
from ..runs.directory import PROFILE, LiveRun, save_profile
from ..runtime.environment import kernel_cache
from ..runtime.gpus import gpu_nodes
from ..telemetry import View
from .dependencies import dependencies
from .program import run_program
from .rehearsal import Prepared, read_prepared, write_prepared
from .signals import SignalPipe

_DIRECTORY = "rehearsals"


def prepare(profile: Profile, game: GameSpec, live: LiveRun, view: View, signals: SignalPipe) -> Prepared | None:
    """The result of a rehearsal; None if a signal came first. Raises the error that the rehearsal ended with."""
    runtime, memory = Path(live.runtime_directory), find_memory(profile, game)
    remembered = memory.recall() if memory else None
    if remembered is not None:
        view.line("rehearsed before on this machine: kernels are compiled")
        write_prepared(runtime, remembered)
        return remembered
    view.line("compiling kernels and rehearsing the pipeline ...")
    start_s = time.monotonic()
    save_profile(profile, runtime / PROFILE)  # that of the run may still be another's
    words = [str(runtime / PROFILE), str(runtime)]
    if not run_program("mzpipe.launch.rehearsal", words, runtime, signals, what="rehearsal"):
        return None
    view.line(f"compiling kernels: {time.monotonic() - start_s:.1f} s")
    prepared = read_prepared(runtime)
    if memory and _is_lasting(profile, prepared):
        memory.keep(prepared)
    return prepared


def find_memory(profile: Profile, game: GameSpec) -> "Memory | None":
    """The memory of the profile's rehearsal; None if what it depends on cannot be determined."""
    found = dependencies(profile, game)
    return None if found is None else Memory(kernel_cache(), _digest(json.dumps(found, sort_keys=True)))


def _is_lasting(profile: Profile, prepared: Prepared) -> bool:
    """False if "auto" found no GPU though the machine has one: the next start may find it."""
    chosen = "auto" in (*profile.learner.devices, *profile.inference.devices)
    found = (*prepared.learner_devices, *prepared.inference_devices)
    return not (chosen and "cpu" in found and gpu_nodes())


@dataclass(frozen=True)
class _Remembered:
    num_kernels: int
    prepared: Prepared


_FORMAT = TypeAdapter(_Remembered)


class Memory:
    """The file that remembers one rehearsal's result."""

    def __init__(self, cache: Path, key: str) -> None:
        self._cache, self._path, self._key = cache, cache / _DIRECTORY / key, key

    def recall(self) -> Prepared | None:
        """The result; None if there is none, if it is damaged, or if kernels were removed since."""
        try:
            digest, text = self._path.read_text().split("\n")
            remembered = _FORMAT.validate_json(text, strict=True)
        except (OSError, ValueError):
            return None
        is_whole = digest == _digest(self._key + text) and remembered.num_kernels <= self._num_kernels()
        return remembered.prepared if is_whole else None

    def keep(self, prepared: Prepared) -> None:
        """Remembers a result; without room on the disk the next start rehearses again.

        A half-written file is not recalled, so no draft is needed.
        """
        text = _FORMAT.dump_json(_Remembered(self._num_kernels(), prepared)).decode()
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._path.write_text(f"{_digest(self._key + text)}\n{text}")

    def _num_kernels(self) -> int:
        """The number of compiled kernels in the cache, from which the user may have removed some."""
        return sum(1 for _ in self._cache.rglob("*.nbc"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
