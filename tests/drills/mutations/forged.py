"""Forged files: well-formed, with checksums that are right, and with contents that mzpipe never writes."""

import random
from collections.abc import Callable, Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from mzpipe.replay.journal.format import StoredTrajectory
from mzpipe.runs.checkpoint import BEST, LATEST, CheckpointStore

from .forging import (
    MISSING,
    as_bytes,
    in_journal_manifest,
    in_journal_state,
    in_json,
    in_record,
    in_state,
    in_tensors,
    put,
    with_length,
    with_serial,
)
from .mutation import Mutation

_ESCAPE = "\x1b[31m\x1b]0;title\x07"
_WRONG = {
    "missing": MISSING,
    "null": None,
    "a text": "x",
    "NaN": float("nan"),
    "infinite": float("inf"),
    "a list": [1],
    "negative": -1,
    "huge": (1 << 64) - 1,
    "true": True,
    "a fraction": 1.5,
    "a map": {},
    "an escape sequence": _ESCAPE,
}


class _Run:
    """The names of what stands in the run."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.store = CheckpointStore(place / "run" / "checkpoints")
        self.latest, self.best = (self.store.pointed(name) for name in (LATEST, BEST))
        self.older = next(name for name in self.store.step_names() if name != self.latest)

    def checkpoint(self, name: str, file: str = "") -> str:
        return f"run/checkpoints/{name}/{file}".rstrip("/")

    def segment(self) -> str:
        return self._only("run/journal/segment-*.mzj")

    def shape(self) -> str:
        return self._only("shm/*/shape.json")

    def _only(self, pattern: str) -> str:
        return str(sorted(self.place.glob(pattern))[0].relative_to(self.place))


def forgeries(place: Path, seed: int) -> list[Mutation]:
    """All of them, those of one file far from each other."""
    run, rng = _Run(place), random.Random(seed)
    groups = [list(group(run)) for group in _GROUPS]
    for group in groups:
        rng.shuffle(group)
    return [each._replace(is_forged=True) for each in chain.from_iterable(zip_longest(*groups)) if each is not None]


def _state(run: _Run) -> Iterator[Mutation]:
    for name in (run.latest, run.best):
        target = run.checkpoint(name, "state.msgpack")
        fields = ["env_steps", "learner_steps", "weights_version", "game", "protocol"]
        for field in fields + ["return_mean"] * (name == run.best):
            for kind, value in _WRONG.items():
                if field == "return_mean" and kind == "huge":
                    continue
                is_plausible = (kind == "missing" and field in ("protocol", "return_mean")) or (
                    field == "protocol" and isinstance(value, str)
                )
                change = in_state(lambda state, field=field, value=value: put(state, field, value))
                yield Mutation(f"{field} {kind}", target, change, is_plausible)
        for steps in (0, 7, 1 << 40):
            yield Mutation(f"learner_steps {steps}", target, in_state(lambda s, n=steps: put(s, "learner_steps", n)))
        for what, state in (("a list", [1]), ("null", None), ("a text", "x")):
            yield Mutation(f"state {what}", target, in_state(lambda _, state=state: state))
        yield Mutation("no bytes", target, as_bytes(b""))
        yield Mutation("two states", target, as_bytes(b"\x80\x80"))
        yield Mutation("deep", target, as_bytes(b"\x91" * 100_000 + b"\xc0"))
        yield Mutation("a large claim", target, as_bytes(b"\xdd\xff\xff\xff\xff"))


def _checkpoint_manifest(run: _Run) -> Iterator[Mutation]:
    target = run.checkpoint(run.latest, "manifest.json")
    for kind, value in _WRONG.items():
        yield Mutation(f"format {kind}", target, in_json(lambda plain, value=value: put(plain, "format", value)))
        yield Mutation(f"files {kind}", target, in_json(lambda plain, value=value: put(plain, "files", value)))
        yield Mutation(
            f"sha256 {kind}",
            target,
            in_json(lambda plain, value=value: (put(plain["files"]["state.msgpack"], "sha256", value), plain)[1]),
        )
    yield Mutation("format 2", target, in_json(lambda plain: put(plain, "format", 2)))
    yield Mutation("deep", target, lambda path: _text(path, "[" * 100_000))
    yield Mutation("a number of many digits", target, lambda path: _text(path, '{"format": ' + "9" * 10_000 + "}"))


def _first(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict], dict]:
    def first(tensors: dict) -> dict:
        name = next(name for name, array in sorted(tensors.items()) if array.dtype.kind == "f" and array.size > 1)
        return tensors | {name: change(tensors[name].copy())}

    return first


def _filled(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def fill(array: np.ndarray) -> np.ndarray:
        array.flat[0] = value
        return array

    return fill


def _tensors(run: _Run) -> Iterator[Mutation]:
    ways: dict[str, Callable[[dict], dict]] = {
        "NaN": _first(_filled(np.nan)),
        "infinite": _first(_filled(np.inf)),
        "float64": _first(lambda array: array.astype(np.float64)),
        "float16": _first(lambda array: array.astype(np.float16)),
        "integers": _first(lambda array: array.astype(np.int32)),
        "truths": _first(lambda array: array != 0),
        "a column": _first(lambda array: array.reshape(-1, 1)),
        "one row more": _first(lambda array: np.concatenate([array, array[:1]])),
        "no rows": _first(lambda array: array[:0]),
        "one missing": lambda tensors: dict(list(tensors.items())[1:]),
        "one more": lambda tensors: tensors | {"another": np.zeros(3, np.float32)},
        "other names": lambda tensors: {f"{name}{_ESCAPE}": array for name, array in tensors.items()},
        "none": lambda tensors: {},
    }
    for name in (run.latest, run.best):
        for kind, change in ways.items():
            yield Mutation(kind, run.checkpoint(name, "weights.safetensors"), in_tensors(change))
    target = run.checkpoint(run.latest, "optimizer.safetensors")
    for kind, change in ways.items():
        yield Mutation(kind, target, in_tensors(change))
    for kind, data in _BAD_TENSORS.items():
        yield Mutation(kind, run.checkpoint(run.latest, "weights.safetensors"), as_bytes(data))


def _claimed(size: int, text: bytes = b"{}") -> bytes:
    return size.to_bytes(8, "little") + text


_BAD_TENSORS = {
    "no bytes": b"",
    "a large head": _claimed((1 << 63) - 1),
    "no head": _claimed(0, b""),
    "a list as head": _claimed(2, b"[]"),
    "offsets outside": _claimed(58, b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,1600]}}  '),
    "negative shape": _claimed(58, b'{"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}}  '),
}


def _pointers(run: _Run) -> Iterator[Mutation]:
    named = {
        "..": "..",
        "above": f"../{run.latest}",
        "absolute": "/etc",
        "itself": "latest",
        "with NUL": f"{run.latest}\0",
        "an escape sequence": _ESCAPE,
        "long": "x" * 5000,
        "no text": "",
        "two lines": f"{run.latest}\n{run.older}",
        "not UTF-8": "\udcff",
        "of a name that does not exist": "step_00000999",
        "in the journal": "../journal",
        "an older one": run.older,
        "the best one": run.best,
        "the latest one": run.latest,
    }
    for pointer in (LATEST, BEST):
        pointed = run.latest if pointer == LATEST else run.best
        for kind, text in named.items():
            if text == pointed:
                continue
            yield Mutation(
                f"names {kind}",
                f"run/checkpoints/{pointer}",
                lambda path, text=text: _text(path, text),
                is_plausible=text in (run.older, run.best, run.latest),
            )
        for kind, to in (("of a link", run.latest), ("of a file", "../profile.toml"), ("of itself", pointer)):
            yield Mutation(f"a link {kind}", f"run/checkpoints/{pointer}", lambda path, to=to: _link(path, to))


def _shape(run: _Run) -> Iterator[Mutation]:
    fields = ("frame_shape", "frame_dtype", "num_actions", "actors", "trees_per_lane", "weights_bytes", "model_state")
    for field in fields:
        for kind, value in _WRONG.items():
            yield Mutation(f"{field} {kind}", run.shape(), in_json(lambda p, f=field, v=value: put(p, f, v)))
    yield Mutation("another field", run.shape(), in_json(lambda plain: put(plain, "another", 1)))
    yield Mutation("a thousand actors", run.shape(), in_json(lambda plain: put(plain, "actors", 1000)))
    yield Mutation("dtype O", run.shape(), in_json(lambda plain: put(plain, "frame_dtype", "O")))
    yield Mutation("deep", run.shape(), lambda path: _text(path, "[" * 100_000))


def _lock(run: _Run) -> Iterator[Mutation]:
    target = "run/run.lock"
    for field in ("pid", "run_id", "runtime_directory", "last"):
        for kind, value in _WRONG.items():
            yield Mutation(f"{field} {kind}", target, in_json(lambda p, f=field, v=value: put(p, f, v)))
    for kind, value in (("..", "../../../tmp"), ("another", "0123456789ab"), ("long", "0" * 5000)):
        yield Mutation(f"run_id {kind}", target, in_json(lambda plain, value=value: put(plain, "run_id", value)))
    for counts in ([1, 2, 3], [1, 2, 3, "x"], [1 << 62] * 4, [0, 0, 0, 0], [10**30] * 4):
        yield Mutation(f"last {counts}"[:40], target, in_json(lambda plain, counts=counts: put(plain, "last", counts)))
    for kind, text in (("not JSON", "x"), ("a list", "[]"), ("deep", "[" * 60_000), ("digits", "9" * 10_000)):
        yield Mutation(kind, target, lambda path, text=text: _text(path, text))


def _journal_manifest(run: _Run) -> Iterator[Mutation]:
    target = "run/journal/manifest.json"
    for field in ("format", "layout", "segments"):
        for kind, value in _WRONG.items():
            yield Mutation(f"{field} {kind}", target, in_journal_manifest(lambda p, f=field, v=value: put(p, f, v)))
    for field in ("frame_shape", "frame_dtype", "num_actions"):
        for kind, value in _WRONG.items():
            yield Mutation(
                f"layout.{field} {kind}",
                target,
                in_journal_manifest(lambda p, f=field, v=value: put(p, "layout", put(p["layout"], f, v))),
            )
    for field in ("number", "bytes", "first_serial", "last_serial", "torn"):
        for kind, value in _WRONG.items():
            yield Mutation(
                f"segment.{field} {kind}",
                target,
                in_journal_manifest(lambda p, f=field, v=value: (put(p["segments"][0], f, v), p)[1]),
            )
    yield Mutation("no segments", target, in_journal_manifest(lambda plain: put(plain, "segments", [])))
    yield Mutation("seven actions", target, in_journal_manifest(lambda p: (put(p["layout"], "num_actions", 7), p)[1]))


def _column(name: str, change: Callable[[np.ndarray], None]) -> Callable[[StoredTrajectory], StoredTrajectory]:
    def forge(stored: StoredTrajectory) -> StoredTrajectory:
        array = getattr(stored.record.steps, name).copy()
        change(array)
        return stored._replace(record=stored.record._replace(steps=stored.record.steps._replace(**{name: array})))

    return forge


def _head(name: str, value: float) -> Callable[[StoredTrajectory], StoredTrajectory]:
    def forge(stored: StoredTrajectory) -> StoredTrajectory:
        array = np.array([value], np.float32 if name == "final_value" else np.int64)
        return stored._replace(record=stored.record._replace(**{name: array}))

    return forge


def _fill(value: float) -> Callable[[np.ndarray], None]:
    return lambda array: array.fill(value)


def _records(run: _Run) -> Iterator[Mutation]:
    target = run.segment()
    columns: list[tuple[str, float]] = [
        *(("reward", value) for value in (np.nan, np.inf, 3e38)),
        *(("root_value", value) for value in (np.nan, -np.inf)),
        *(("search_policy", value) for value in (np.nan, -1.0, 0.0, 7.0)),
        *(("action", value) for value in (-1, 2, 99, (1 << 31) - 1)),
        *(("to_play", value) for value in (-1, 7, 100)),
        *(("weights_version", value) for value in (-1, (1 << 63) - 1)),
        ("legal_actions", 0),
    ]
    for name, value in columns:
        yield Mutation(f"{name} {value}", target, in_record(_column(name, _fill(value))))
    heads: list[tuple[str, float]] = [
        *(("end", value) for value in (-1, 3, 1 << 40)),
        *(("offset", value) for value in (-1, (1 << 63) - 1)),
        *(("episode", value) for value in (-1, (1 << 63) - 1)),
        *(("game", value) for value in (-1, (1 << 63) - 1)),
        *(("final_value", value) for value in (np.nan, np.inf)),
    ]
    for name, value in heads:
        yield Mutation(f"{name} {value}", target, in_record(_head(name, value)))
    for name in ("actor", "epoch"):
        for number in (-1, (1 << 63) - 1):
            yield Mutation(f"{name} {number}", target, in_record(lambda s, n=name, v=number: s._replace(**{n: v})))
    frame = in_record(lambda stored: stored._replace(record=stored.record._replace(frame=stored.record.frame * np.nan)))
    yield Mutation("frame NaN", target, frame)
    for number in (-1, 0, (1 << 63) - 1):
        yield Mutation(f"serial {number}", target, with_serial(number))
        yield Mutation(f"length {number}", target, with_length(number))
    yield Mutation("length 2 more", target, with_length(10))


def _journal_state(run: _Run) -> Iterator[Mutation]:
    target = "run/journal/state.mzs"
    for field in ("next_serial", "inserted", "session", "alpha"):
        for kind, value in _WRONG.items():
            if not (kind == "a map" and field == "alpha"):
                yield Mutation(f"{field} {kind}", target, in_journal_state(lambda f, _, n=field, v=value: put(f, n, v)))
    for name in ("serial", "length", "weight"):
        ways: dict[str, Callable[[Any], Any]] = {
            "missing": lambda array: MISSING,
            "negative": lambda array: (-1 - array).astype(array.dtype),
            "one less": lambda array: array[1:],
            "as a table": lambda array: array[None],
            "as fractions": lambda array: array.astype(np.float64) + 0.5,
            "all the most": lambda array: np.full_like(array, np.nan if array.dtype.kind == "f" else 1 << 30),
        }
        for kind, way in ways.items():
            yield Mutation(
                f"{name} {kind}",
                target,
                in_journal_state(lambda _, arrays, n=name, w=way: put(arrays, n, w(arrays[n]))),
            )


def _scores(run: _Run) -> Iterator[Mutation]:
    target = "run/scores.csv"
    for column in range(8):
        for value in ("x", "nan", "inf", "-1", "9" * 5000, "1e400", "1_0", _ESCAPE, "\0", '"'):
            yield Mutation(f"column {column} {value[:8]!r}", target, lambda path, c=column, v=value: _cell(path, c, v))
    texts = {
        "a header only": "env_steps,learner_steps,weights_version,episodes,return_mean,return_std\n",
        "another header": f"a,b,{_ESCAPE}\n1,2,3\n",
        "one long row": "1," * 200_000 + "\n",
        "a long field": '"' + "x" * 200_000,
        "returns only": "\r\r\r\n",
    }
    for kind, text in texts.items():
        yield Mutation(kind, target, lambda path, text=text: _text(path, text))
    yield Mutation("a column more", target, lambda path: _text(path, path.read_text().replace("\n", ",1\n")))
    yield Mutation("a column twice", target, lambda path: _cell(path, 5, "return_mean", row=0))


def _cell(path: Path, column: int, value: str, row: int = -1) -> None:
    rows = [line.split(",") for line in path.read_text().splitlines()]
    rows[row][min(column, len(rows[row]) - 1)] = value
    _text(path, "\n".join(map(",".join, rows)) + "\n")


def _profile(run: _Run) -> Iterator[Mutation]:
    lines = [
        "num_simulations = 0",
        "num_simulations = 10000000000",
        "num_simulations = nan",
        'num_simulations = "4"',
        "discount = nan",
        "discount = inf",
        "discount = -1.0",
        "hidden_size = 1000000000",
        "hidden_size = 17",
        "value_support_size = 1000000",
        "frame_stack = 1000000",
        'name = "Acrobot-v1"',
        'name = "os:system"',
        'name = "../../profile"',
        f'name = "{"x" * 5000}"',
        'name = "\\u001b[31m"',
        "episodes = 1000000000000",
        "batch_size = 100000000",
        "capacity_bytes = 99999999999999999999",
        "capacity_bytes = 1",
        "kind = 3",
        "learning_rate = 1e999",
        "seed = -1",
        "devices = [99]",
        "devices = []",
    ]
    for line in lines:
        key = line.partition(" ")[0]
        yield Mutation(line[:40], "run/profile.toml", lambda path, key=key, line=line: _line(path, key, line))
    texts = {
        "not TOML": "[[[",
        "unknown field": "[search]\nnum_simulation = 3\n",
        "escape sequence": f'["{_ESCAPE}"]\n',
        "not UTF-8": "\udcff",
        "deep": "a = " + "[" * 50_000 + "]" * 50_000,
        "digits": "seed = " + "9" * 10_000,
        "a list as section": "search = [1]\n",
        "nothing": "",
    }
    for kind, text in texts.items():
        yield Mutation(kind, "run/profile.toml", lambda path, text=text: _text(path, text))


def _line(path: Path, key: str, line: str) -> None:
    """Exchanges the first line of that key."""
    lines = path.read_text().splitlines()
    found = [place for place, each in enumerate(lines) if each.partition(" ")[0] == key]
    lines[found[0]] = line
    _text(path, "\n".join(lines) + "\n")


def _strays(run: _Run) -> Iterator[Mutation]:
    """Entries that mzpipe did not make, between its own."""
    step = 10**18
    names = (f"{run.latest}.bak", f"step_{step}", "step_", "step_00000900", ".step_00000100.x.new", f"step_{_ESCAPE}")
    for name in names:
        yield Mutation("a directory more", f"run/checkpoints/{name}", Path.mkdir, is_plausible=True)
        yield Mutation("a file more", f"run/checkpoints/{name}", Path.touch, is_plausible=True)
    for name in (
        "segment-00000000.mzj",
        "segment-99999999.mzj",
        "segment-x.mzj",
        ".manifest.json.new",
        "state.mzs.bak",
    ):
        yield Mutation("a file more", f"run/journal/{name}", lambda path: _text(path, "x" * 500), is_plausible=True)
    for name in ("journal", "checkpoints", "logs", "tensorboard"):
        yield Mutation("moved, and a link to it", f"run/{name}", _moved, is_plausible=True)


def _moved(path: Path) -> None:
    other = path.with_name(f"{path.name}.moved")
    path.rename(other)
    path.symlink_to(other.name)


def _text(path: Path, text: str) -> None:
    path.write_bytes(text.encode(errors="surrogateescape"))


def _link(path: Path, to: str) -> None:
    path.unlink()
    path.symlink_to(to)


_GROUPS = (
    _state,
    _checkpoint_manifest,
    _tensors,
    _pointers,
    _shape,
    _lock,
    _journal_manifest,
    _records,
    _journal_state,
    _scores,
    _profile,
    _strays,
)
