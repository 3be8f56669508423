"""The trained runs that come with mzpipe, by name. Each is a run directory, which nothing is written to.

NAME/profile.toml   NAME/scores.csv   NAME/checkpoints/   NAME/README.md, its card for people
"""

import os
from pathlib import Path

from ..config.base import near
from ..config.shipped import shipped_profiles
from ..errors import UsageError

# In a clone a link to releases/ beside the package.
_DIRECTORY = Path(__file__).parents[1] / "releases"


def shipped_releases() -> dict[str, Path]:
    """The directories of the trained runs that come with mzpipe, by name."""
    return {path.parent.name: path.parent for path in sorted(_DIRECTORY.glob("[!.]*/profile.toml"))}


def find_run(run: Path | str) -> Path:
    """The run directory itself, or if nothing has this path, the trained run of that name that comes with mzpipe."""
    path, shipped = Path(run), shipped_releases()
    return shipped[path.name] if path in map(Path, shipped) and not os.path.lexists(path) else path


def hint_for(path: Path) -> str:
    """What to add to the line about a path that holds no run: a name that may have been meant, or what makes a run."""
    if os.path.lexists(path) or str(path) != path.name:
        return ""
    shipped = shipped_releases()
    if path.name in shipped_profiles() and path.name not in shipped:
        return f", and none comes with mzpipe: mzpipe train {path} makes one"
    return near(path.name, shipped.keys() - {path.name})


def is_release(path: Path) -> bool:
    """Whether a run directory is one of those that come with mzpipe."""
    return path.resolve().parent == _DIRECTORY.resolve()


def refuse_release(path: Path) -> None:
    """Raises UsageError for a run that comes with mzpipe."""
    if is_release(path):
        raise UsageError(f"--run-dir {path}: this run comes with mzpipe and stays as it is: give another directory")


def product_of(run: Path, name: str) -> Path:
    """The default place of what a verb makes of a run: in its directory, or here if the run comes with mzpipe."""
    return Path(f"{run.resolve().name}-{name}") if is_release(run) else run / name
