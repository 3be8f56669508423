"""The context that a role is made from."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # reading a run directory, which has a Storage, must not load the data plane
    from ..config import Profile
    from ..ipc.control import ControlPort
    from ..ipc.dataplane import DataPlane
    from ..ipc.shape import Member


@dataclass(frozen=True)
class Storage:
    """The directories in which roles keep files that outlive the run."""

    checkpoints: Path
    journal: Path
    logs: Path

    @property
    def run(self) -> Path:
        """The run's directory."""
        return self.logs.parent


@dataclass(frozen=True)
class RoleContext:
    """Everything that one process of a run is given."""

    profile: "Profile"
    plane: "DataPlane"
    member: "Member"
    storage: Storage
    # Torch's name for the process's device.
    device: str
    control: "ControlPort"
    # How often the process was started before.
    epoch: int = 0
