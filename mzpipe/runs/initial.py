"""The weights with which a new run begins, instead of random ones: those of another run, or of a safetensors file.

The supervisor decides which tensors are taken, and writes them into the runtime directory before it starts a process.
Every learner rank reads them there, so that all begin alike, whatever becomes of their source in the meantime.
"""

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save as save_tensors

from ..config.base import near
from ..errors import CheckpointError, ConfigError, InputOutputError
from ..format import printable
from ..ipc.diagnostics import TRAINING_PARTS
from ..ipc.layout import Field
from .checkpoint import BEST, LATEST, MANIFEST, CheckpointStore, read_weights
from .directory import CHECKPOINTS, PROFILE
from .files import file_errors
from .releases import find_run, hint_for

# The mean of a game's images (nets/model.py), which says nothing of another game's.
MEAN_IMAGE = "mean_image"
_FILE, _SUFFIX = "initial.safetensors", ".safetensors"
# Parts that a refusal proposes have at most two names, such as prediction.value.
_PROPOSED_DEPTH = 2
_SHOWN, _SHOWN_CHARACTERS = 6, 40
_KINDS = f"a run's directory, a trained run that comes with mzpipe, a checkpoint's directory, or a {_SUFFIX} file"


class Source(NamedTuple):
    """Weights to begin with: where they stand, the tensors, and the game they were trained on (None: unknown)."""

    path: str
    weights: dict[str, np.ndarray]
    game: str | None = None


class Initial(NamedTuple):
    """The tensors that are taken, and the line for the user that says which."""

    weights: dict[str, np.ndarray]
    line: str

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors."""
        return sum(array.nbytes for array in self.weights.values())


def read_source(text: str) -> Source:
    """The weights that `learner.init_from` names: those of a run are its best ones, or else its latest.

    Raises ConfigError if it names none, CheckpointError if they are missing, damaged or not finite.
    """
    path = find_run(text)
    if not os.path.exists(path):
        raise ConfigError(f"learner.init_from={text!r}: no such file or directory{hint_for(path)}: name {_KINDS}")
    try:
        if path.suffix == _SUFFIX:
            return Source(text, read_weights(path))
        return _read_checkpoint(text, path)
    except InputOutputError as error:
        raise CheckpointError(f"learner.init_from: {error}") from None


def _read_checkpoint(text: str, path: Path) -> Source:
    if os.path.isfile(path / PROFILE) or os.path.isdir(path / CHECKPOINTS):
        store, chosen = CheckpointStore(path / CHECKPOINTS), None
    else:
        whole = Path(os.path.abspath(path))
        store, chosen = CheckpointStore(whole.parent), whole.name
        if not os.path.isfile(whole / MANIFEST) and chosen not in (BEST, LATEST):
            raise ConfigError(f"learner.init_from={text!r}: no weights lie here: name {_KINDS}")
    name, checkpoint = store.load_chosen(chosen)
    shown = path if chosen == name else (path.parent if chosen else store.directory) / name
    return Source(str(shown), checkpoint.weights, checkpoint.state.get("game"))


def take(source: Source, parts: Collection[str], model: Iterable[Field], *, is_same_game: bool) -> Initial:
    """The tensors of the source with which the model begins: those of the parts, all of them if none is named.

    Raises ConfigError for a part that the model lacks, CheckpointError unless each tensor of the parts is alike in
    both. Without parts, what only the learner has is new unless all of it fits. The mean image is never taken unless
    the source is known to be of the same game.
    """
    wanted = {field.name: (field.dtype, tuple(field.shape)) for field in model}
    _refuse_unknown(parts, wanted)
    found = {name: (str(array.dtype), array.shape) for name, array in source.weights.items()}
    names = list(dict.fromkeys([*wanted, *found]))  # in the model's own order
    differing = {name for name in names if found.get(name) != wanted.get(name)}
    may_be_new = set() if parts else set(TRAINING_PARTS) & set(map(_part, differing))  # `best` lacks them
    asked = [name for name in names if _is_in(name, parts) and _part(name) not in may_be_new]
    if wrong := [name for name in asked if name in differing]:
        fault = f"{wrong[0][:_SHOWN_CHARACTERS]} is {spoken(found.get(wrong[0]))} in {source.path}"
        raise CheckpointError(
            f"learner.init_from: {fault}, the profile's model has {spoken(wanted.get(wrong[0]))} (the first of "
            f"{len(wrong)} tensors that do not fit): {_mend(_fitting(wanted, differing))}"
        )
    weights = {name: source.weights[name] for name in asked if is_same_game or name != MEAN_IMAGE}
    return Initial(weights, _line(source, weights, {name: prod(shape) for name, (_, shape) in wanted.items()}))


def _is_in(name: str, parts: Collection[str]) -> bool:
    return not parts or any(f"{name}.".startswith(f"{part}.") for part in parts)


def _part(name: str) -> str:
    return name.partition(".")[0]


def _modules(names: Iterable[str]) -> list[str]:
    """The parts that hold the names, and the parts of those, down to the depth that is proposed."""
    split = [name.split(".") for name in names]
    return list(dict.fromkeys(".".join(each[:depth]) for each in split for depth in range(1, _PROPOSED_DEPTH + 1)))


def _refuse_unknown(parts: Collection[str], wanted: Collection[str]) -> None:
    for part in parts:
        if not any(_is_in(name, [part]) for name in wanted):
            known = near(part, _modules(wanted))
            raise ConfigError(f"learner.init_parts: {part!r} is no part of the profile's model{known}")


def _fitting(wanted: Collection[str], differing: Collection[str]) -> list[str]:
    """The largest parts of the model in which nothing differs."""
    torn = set(_modules(differing))
    fitting = [part for part in _modules(wanted) if part not in torn and part != MEAN_IMAGE]
    return [part for part in fitting if part.rpartition(".")[0] not in fitting]


def _mend(fitting: Collection[str]) -> str:
    if not fitting:
        return "no part of the two is alike: give the run the [network] of those weights"
    return f"take the parts that do: learner.init_parts=[{', '.join(map(json.dumps, fitting))}]"


def spoken(kind: tuple[str, tuple[int, ...]] | None) -> str:
    """A tensor's type and shape, for an error."""
    return "not in it" if kind is None else f"{kind[0]} {kind[1]}"


def _line(source: Source, taken: Collection[str], sizes: Mapping[str, int]) -> str:
    """Says how much of the model is taken, which parts of it are new, and which of the source's are left out."""
    numbers = sum(sizes[name] for name in taken)
    found = [*(name for name in sizes if name in source.weights), *sorted(source.weights.keys() - sizes.keys())]
    new, left_out = ([name for name in each if name not in taken] for each in (sizes, found))
    return printable(
        f"weights   from {source.path}{f' ({source.game})' if source.game else ''}: {len(taken)} of {len(sizes)} "
        f"tensors, {numbers:,} of {sum(sizes.values()):,} numbers"
        f"{_parts('new', new, sizes)}{_parts('left out', left_out, source.weights)}"
    )


def _parts(word: str, names: Collection[str], among: Collection[str]) -> str:
    """The parts that these names belong to, with their number where it is not all of a part; "" for no names."""
    some, every = Counter(map(_part, names)), Counter(map(_part, among))
    texts = [
        part[:_SHOWN_CHARACTERS] + ("" if some[part] == every[part] else f" ({some[part]} of {every[part]})")
        for part in some
    ]
    more = f" and {len(texts) - _SHOWN} others" if len(texts) > _SHOWN else ""
    return f"; {word}: {', '.join(texts[:_SHOWN])}{more}" if texts else ""


def write_initial(directory: Path, initial: Initial) -> None:
    """Writes the tensors into a runtime directory; raises InputOutputError."""
    with file_errors("write", directory / _FILE):
        (directory / _FILE).write_bytes(save_tensors(initial.weights))


def read_initial(directory: Path) -> dict[str, np.ndarray]:
    """The tensors in a runtime directory; none if the session begins with other weights."""
    path = directory / _FILE
    return read_weights(path) if path.exists() else {}


def discard_initial(directory: Path) -> None:
    """Frees the memory of the tensors."""
    (directory / _FILE).unlink(missing_ok=True)
