"""Lines of results: numbers, and the bounds that they must keep."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, TypeVar

from mzpipe.format import number

T = TypeVar("T")


class Setting(NamedTuple):
    """How to measure: where, at which sizes, and whether speeds are judged."""

    device: str
    # Sizes for a test; they say nothing about a card.
    is_small: bool = False
    # Only a card like the one that the bounds were set for is judged by them.
    judges_speed: bool = False

    def pick(self, whole: T, small: T) -> T:
        """The size to measure at."""
        return small if self.is_small else whole


@dataclass(frozen=True)
class Bound:
    """What one number of a line must keep."""

    number: str
    # Why the bound is where it is.
    source: str
    least: float | None = None
    most: float | None = None
    # Speeds are bounds for one kind of card; everything else holds on all.
    is_speed: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value keeps it; NaN does not."""
        above, below = self.least is None or value >= self.least, self.most is None or value <= self.most
        return not math.isnan(value) and above and below

    def words(self) -> str:
        """A text such as "at most 5 (a launch of an H200's host)"."""
        sides = (("at least", self.least), ("at most", self.most))
        limits = " and ".join(f"{side} {limit:,g}" for side, limit in sides if limit is not None)
        return f"{limits} ({self.source})"


# Of a line that counts what a card would not capture.
CAPTURED = Bound("refused", "every batch is a captured graph", most=0.0)


@dataclass(frozen=True)
class Line:
    """One result."""

    name: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    bounds: Sequence[Bound] = ()
    note: str = ""

    def as_json(self, setting: Setting) -> dict[str, Any]:
        """The line with what its bounds say: `ok` is None if none applies; numbers that are not finite are null."""
        bounds = [self._judged(bound) for bound in self.bounds if setting.judges_speed or not bound.is_speed]
        numbers = {name: value if math.isfinite(value) else None for name, value in self.numbers.items()}
        ok = all(bound["ok"] for bound in bounds) if bounds else None
        return {"name": self.name, "numbers": numbers, "bounds": bounds, "note": self.note, "ok": ok}

    def _judged(self, bound: Bound) -> dict[str, Any]:
        return {**asdict(bound), "ok": bound.holds(self.numbers[bound.number]), "words": bound.words()}


def failure(name: str, note: str) -> dict[str, Any]:
    """A line that is BAD because something could not be measured."""
    return {"name": name, "numbers": {}, "bounds": [], "note": note, "ok": False}


def text_of(line: Mapping[str, Any]) -> str:
    """A line for the terminal; what is BAD says which bound it breaks."""
    numbers = (f"{name} {'-' if value is None else number(value)}" for name, value in line["numbers"].items())
    broken = (f"{bound['number']} must be {bound['words']}" for bound in line["bounds"] if not bound["ok"])
    verdict = {None: "", True: "ok", False: "BAD"}[line["ok"]]
    words = [f"{line['name']:<44}", *numbers, verdict, *broken, line["note"]]
    return "  ".join(filter(None, words)).rstrip()
