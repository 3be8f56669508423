"""Random damage to one entry of a run: what disks, cables, careless people and their scripts do."""

import os
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mzpipe.runs.files import remove_any

from .mutation import Mutation

_TIB = 1 << 40


def _rewritten(change: Callable[[random.Random, bytearray], bytes | bytearray]):
    def way(rng: random.Random, path: Path) -> None:
        path.write_bytes(change(rng, bytearray(path.read_bytes())))

    return way


def _truncated(rng: random.Random, data: bytearray) -> bytearray:
    return data[: rng.randrange(len(data))] if data else data


def _flipped(rng: random.Random, data: bytearray) -> bytearray:
    for _ in range(rng.choice((1, 1, 8)) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _zeroed(rng: random.Random, data: bytearray) -> bytearray:
    start = rng.randrange(max(1, len(data)))
    data[start : start + 512] = bytes(len(data[start : start + 512]))
    return data


def _appended(rng: random.Random, data: bytearray) -> bytearray:
    return data + rng.randbytes(rng.choice((1, 8, 5000)))


def _deleted(rng: random.Random, path: Path) -> None:
    remove_any(path)


def _emptied(rng: random.Random, path: Path) -> None:
    is_directory = path.is_dir()
    remove_any(path)
    path.mkdir() if is_directory else path.write_bytes(b"")


def _other_kind(rng: random.Random, path: Path) -> None:
    is_directory = path.is_dir()
    remove_any(path)
    path.write_bytes(b"not a directory") if is_directory else path.mkdir()


def _swapped(rng: random.Random, path: Path) -> None:
    """With another entry of its kind, the nearest by preference: the same file of another checkpoint."""
    home = path.parent if path.parent.name == "run" else path.parent.parent
    others = sorted(each for each in home.rglob("*") if _is_like(each, path))
    other = rng.choice([each for each in others if each.name == path.name] or others)
    kept = path.with_name("swapped")
    path.rename(kept)
    other.rename(path)
    kept.rename(other)


def _is_like(other: Path, path: Path) -> bool:
    is_apart = other != path and other not in path.parents and path not in other.parents
    return is_apart and other.is_dir() == path.is_dir()


def _linked(to: str):
    def way(rng: random.Random, path: Path) -> None:
        remove_any(path)
        path.symlink_to(to)

    return way


def _fifo(rng: random.Random, path: Path) -> None:
    remove_any(path)
    os.mkfifo(path)


def _sparse(rng: random.Random, path: Path) -> None:
    os.truncate(path, _TIB)


def _unreadable(rng: random.Random, path: Path) -> None:
    path.chmod(0)


_FILE_WAYS = {
    "truncate": _rewritten(_truncated),
    "flip": _rewritten(_flipped),
    "zero": _rewritten(_zeroed),
    "append": _rewritten(_appended),
    "sparse": _sparse,
}
_WAYS = {
    "empty": _emptied,
    "delete": _deleted,
    "swap": _swapped,
    "other kind": _other_kind,
    "dangling link": _linked("nowhere"),
    "link to /dev/zero": _linked("/dev/zero"),
    "pipe": _fifo,
    **({} if os.getuid() == 0 else {"unreadable": _unreadable}),
}


def draw(rng: random.Random, place: Path) -> Mutation:
    """A random change of a random entry of the run at `place`."""
    entries = sorted(path for path in place.rglob("*") if _is_target(path.relative_to(place)))
    target = rng.choice(entries)
    way = rng.choice([*_WAYS] if target.is_dir() else [*_FILE_WAYS, *_WAYS])
    change = (_FILE_WAYS | _WAYS)[way]
    return Mutation(way, str(target.relative_to(place)), partial(change, random.Random(rng.random())))


def _is_target(path: Path) -> bool:
    """Whether an entry is part of the run. Its segments in shared memory are not: a file of a run is."""
    return len(path.parts) > 1 and (path.parts[0] == "run" or path.name == "shape.json")


def clear(path: Path) -> None:
    """Removes a place with whatever mutations have left there."""
    if path.exists() and os.getuid() != 0:
        for each in path.rglob("*"):
            if not each.is_symlink():
                each.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
