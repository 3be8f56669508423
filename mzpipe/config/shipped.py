"""The profiles that come with mzpipe, by name, and what was reached with them."""

import csv
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError
from .base import near

# In a clone a link to profiles/ beside the package.
_DIRECTORY = Path(__file__).parents[1] / "profiles"
_RESULTS = "results.csv"


class Result(NamedTuple):
    """What a profile has reached, and in how many minutes, on two cores without a GPU."""

    minutes: str
    score: str


def shipped_profiles() -> dict[str, Path]:
    """The files of the profiles that come with mzpipe, by name."""
    return {path.stem: path for path in sorted(_DIRECTORY.glob("*.toml"))}


def shipped_results() -> dict[str, Result]:
    """The results of those that have been trained to one, by name."""
    with (_DIRECTORY / _RESULTS).open(newline="", encoding="utf-8") as file:
        return {row.pop("profile"): Result(**row) for row in csv.DictReader(file)}


def find_profile(path: Path) -> Path:
    """The file itself if it is there, else that of the profile with this name that comes with mzpipe, as in `cartpole`.

    Raises ConfigError if there is neither.
    """
    if path.exists():
        return path
    shipped = shipped_profiles()
    if path in map(Path, shipped):
        return shipped[path.name]
    if path.stem in shipped:
        raise ConfigError(f"{path}: no such file; mzpipe brings a profile of that name: `{path.stem}`")
    beside = [each.name for each in sorted(path.parent.glob("*.toml"))] if path.parent.is_dir() else []
    raise ConfigError(f"{path}: no such profile{near(path.name, [*beside, *shipped])}")
