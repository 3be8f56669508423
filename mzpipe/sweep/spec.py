"""Reads what a sweep tries: fields of a profile with their ranges or choices, checked by the profile's own rules."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..config.base import NonNegativeInt, PositiveInt, section
from ..config.describe import sections, toml_value
from ..config.load import make_section, parse_toml
from ..errors import ConfigError, UsageError
from ..reading import read_file

if TYPE_CHECKING:
    import optuna

_MAX_BYTES, _MAX_CELLS = 1 << 16, 10_000
_DIGITS = 6
_RANGE, _OF_A_SPACE = ("low", "high", "step", "log"), ("trials", "sampler", "pruner", "startup_trials", "seed")
_SHAPES = "{low = 1e-4, high = 1e-2, log = true}, {low = 1, high = 9, step = 2} or {choices = [8, 16]}"


@section(frozen=True)
class SweepConfig:
    """The settings of a sweep itself."""

    trials: PositiveInt = 20
    objective: Literal["best", "last"] = "best"
    sampler: Literal["tpe", "random"] = "tpe"
    pruner: Literal["median", "none"] = "median"
    # The first trials are drawn at random, and none of them is pruned.
    startup_trials: PositiveInt = 5
    # This many trials that fail one after another end the sweep.
    max_failures: PositiveInt = 3
    seed: NonNegativeInt = 0
    # The URL of Optuna's storage; "" is SQLite in the sweep's directory.
    storage: str = ""


@section(frozen=True)
class Range:
    """A field between two bounds, which it may reach: of integers if both are."""

    name: str
    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = False

    def bounds(self) -> list[str]:
        """The values that must be allowed, as a profile spells them."""
        return [toml_value(self.low), toml_value(self.high)]

    def suggest(self, trial: "optuna.trial.Trial") -> str:
        """The value of a trial, as a profile spells it."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            step = 1 if self.step is None else int(self.step)
            return self.text(trial.suggest_int(self.name, self.low, self.high, step=step, log=self.log))
        return self.text(trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log))

    def text(self, value: Any) -> str:
        """A value of Optuna's as a profile spells it, in digits that a person can copy."""
        if isinstance(value, float) and self.step is None:
            value = min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)
        return toml_value(value)


@section(frozen=True)
class Choices:
    """A field with one of several values, each as a profile spells it."""

    name: str
    values: tuple[str, ...]

    def bounds(self) -> list[str]:
        """The values that must be allowed, as a profile spells them."""
        return list(self.values)

    def suggest(self, trial: "optuna.trial.Trial") -> str:
        """The value of a trial, as a profile spells it."""
        return self.text(trial.suggest_categorical(self.name, self.values))

    def text(self, value: Any) -> str:
        """A value of Optuna's as a profile spells it."""
        return str(value)


Parameter = Range | Choices
# Raises UsageError unless the profile may be trained with these `field=value`.
Check = Callable[[list[str]], object]


@dataclass(frozen=True)
class SweepSpec:
    """A whole sweep: a space to search, or a grid whose cells are all trained."""

    config: SweepConfig
    parameters: tuple[Parameter, ...]
    is_grid: bool

    @property
    def num_trials(self) -> int:
        """The number of trials in all."""
        if not self.is_grid:
            return self.config.trials
        return math.prod(len(each.bounds()) for each in self.parameters)

    def cell(self, number: int) -> dict[str, str]:
        """The values of one cell of the grid; the last field changes first."""
        cells = itertools.product(*(each.bounds() for each in self.parameters))
        values = next(itertools.islice(cells, number, None))
        return dict(zip((each.name for each in self.parameters), values, strict=True))

    def identity(self) -> dict[str, Any]:
        """What trials of one sweep have in common, for JSON."""
        fields = [{**dataclasses.asdict(each), "kind": type(each).__name__} for each in self.parameters]
        return {"grid" if self.is_grid else "space": fields, "objective": self.config.objective}

    def check(self, check: Check) -> None:
        """Has each bound of each field checked with the others as in the profile; raises the first UsageError."""
        for parameter in self.parameters:
            for value in parameter.bounds():
                check([f"{parameter.name}={value}"])


def read_spec(path: Path) -> SweepSpec:
    """The sweep of a file; raises ConfigError, naming the file."""
    try:
        tree = parse_toml(read_file(path, _MAX_BYTES).decode(), str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read as a sweep: {error}") from None
    try:
        return _spec(tree)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def grid_spec(fields: Mapping[str, Sequence[Any]], former: SweepSpec | None = None) -> SweepSpec:
    """The grid of these fields and their values, with those of a former one; raises UsageError."""
    if former is not None and not former.is_grid:
        raise UsageError("--seeds and --games make a grid: they do not go with a [space]")
    config, before = (SweepConfig(), ()) if former is None else (former.config, former.parameters)
    twice = [each.name for each in before if each.name in fields]
    if twice:
        raise UsageError(f"{twice[0]}: the [grid] names it, and the command line too: name it once")
    return _checked_grid(config, (*before, *(_choices(name, values) for name, values in fields.items())))


def _spec(tree: dict[str, Any]) -> SweepSpec:
    space, grid = (tree.pop(name, None) for name in ("space", "grid"))
    if (space is None) == (grid is None):
        raise ConfigError("a sweep has either a [space] to search or a [grid] of runs: write one of them")
    config: SweepConfig = make_section(SweepConfig, tree)
    for name in _OF_A_SPACE if space is None else ():
        if name in tree:
            raise ConfigError(f"{name}: a [grid] trains every cell once: leave it out")
    table = "grid" if space is None else "space"
    fields = dict(_fields(grid if space is None else space, table, ""))
    if not fields:
        raise ConfigError(f'[{table}]: it names no field of a profile, such as "learner.learning_rate"')
    if space is None:
        return _checked_grid(config, tuple(_choices(name, value) for name, value in fields.items()))
    kinds = {each.name: each.kind for part in sections() for each in part.settings}
    return SweepSpec(config, tuple(_parameter(name, each, kinds) for name, each in fields.items()), is_grid=False)


def _checked_grid(config: SweepConfig, parameters: tuple[Parameter, ...]) -> SweepSpec:
    spec = SweepSpec(config, parameters, is_grid=True)
    if spec.num_trials > _MAX_CELLS:
        raise ConfigError(f"[grid]: {spec.num_trials:,} runs, at most {_MAX_CELLS:,}: leave values out")
    return spec


def _fields(tree: Any, table: str, prefix: str) -> Iterator[tuple[str, Any]]:
    """Fields by name, whether a key is written with quotes or as a table of a table."""
    if not isinstance(tree, dict):
        raise ConfigError(f"{table}={tree!r}: this is a table of fields")
    for name, value in tree.items():
        if isinstance(value, dict) and value and all(isinstance(each, dict) for each in value.values()):
            yield from _fields(value, table, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _parameter(name: str, value: Any, kinds: Mapping[str, str]) -> Parameter:
    keys = set(value) if isinstance(value, dict) else set()
    if keys == {"choices"}:
        return _choices(name, value["choices"])
    if not {"low", "high"} <= keys <= set(_RANGE):
        raise ConfigError(f"[space] {name}={value!r}: write {_SHAPES}")
    return _range(name, value, kinds.get(name, "number"))


def _choices(name: str, values: Any) -> Choices:
    if not isinstance(values, list | tuple) or not values:
        raise ConfigError(f"{name}={values!r}: give a list of at least one value")
    try:
        texts = tuple(map(toml_value, values))
    except TypeError:
        raise ConfigError(f"{name}={values!r}: a profile cannot hold all of these") from None
    twice = [text for place, text in enumerate(texts) if text in texts[:place]]
    if twice:
        raise ConfigError(f"{name}: {twice[0]} stands there twice: give each value once")
    return Choices(name, texts)


def _range(name: str, fields: dict[str, Any], kind: str) -> Range:
    where, log = f"[space] {name}", fields.get("log", False)
    if type(log) is not bool:
        raise ConfigError(f"{where}: log={log!r} is not true or false")
    for key in ("low", "high", "step"):
        if key in fields and (type(fields[key]) not in (int, float) or not math.isfinite(fields[key])):
            raise ConfigError(f"{where}: {key}={fields[key]!r} is not a number")
    if not kind.startswith(("integer", "number")):
        raise ConfigError(f"{where}: it is no number ({kind}): give choices")
    low, high, step = fields["low"], fields["high"], fields.get("step")
    if low >= high:
        raise ConfigError(f"{where}: low={low!r} is not below high={high!r}: the range is {_lack(low, high)}")
    if log and (low <= 0 or step is not None):
        raise ConfigError(f"{where}: log=true needs low above 0 (it is {low!r}) and no step")
    if step is not None:
        steps = (high - low) / step if step > 0 else 0.5
        if abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
            raise ConfigError(f"{where}: step={step!r} does not lead from low={low!r} to high={high!r}")
    if kind.startswith("integer"):
        broken = next((each for each in (low, high, step) if isinstance(each, float)), None)
        if broken is not None:
            raise ConfigError(f"{where}: {broken!r} is not a whole number, and the field takes only these")
        return Range(name, low, high, step, log)
    return Range(name, float(low), float(high), None if step is None else float(step), log)


def _lack(low: float, high: float) -> str:
    return "empty" if low == high else "reversed"
