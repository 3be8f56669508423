"""A mutation as data: one change to one entry of a run's directory."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# Files without a checksum: whatever is well-formed in them is what they say.
UNCHECKED = ("profile.toml", "scores.csv", "run.lock")


class Mutation(NamedTuple):
    """`change` gets the path of the target, which stands in a copy of the run."""

    name: str
    # Relative to the place of the copy.
    target: str
    change: Callable[[Path], None]
    # Whether the changed files are as mzpipe might have written them, so that nobody could tell.
    is_plausible: bool = False
    # Whether the checksums of the changed files are right.
    is_forged: bool = False

    @property
    def is_unchecked(self) -> bool:
        """Whether a changed answer may be what the files say."""
        return self.is_plausible or self.target.endswith(UNCHECKED)

    @property
    def is_forged_record(self) -> bool:
        """Whether a journal's record has other contents, and the checksum of these."""
        return self.is_forged and self.target.endswith(".mzj")

    @property
    def names(self) -> tuple[str, ...]:
        """Words, one of which a line about this target has."""
        path = Path(self.target)
        return (path.name, path.parent.name) if path.parent.parent.name == "checkpoints" else (path.name,)
