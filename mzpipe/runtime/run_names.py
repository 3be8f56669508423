"""Names within a run directory that more than the supervisor must know."""

from pathlib import Path

from ..errors import UsageError

# The resolved profile, and the directory of checkpoints.
PROFILE, CHECKPOINTS = "profile.toml", "checkpoints"


def refuse_no_run(path: Path) -> None:
    """Raises UsageError unless a run lives, or has lived, in the directory."""
    if not (path / PROFILE).is_file():
        raise UsageError(f"{path}: no run here (no {PROFILE})")
