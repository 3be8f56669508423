"""What a role is made from."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a run directory, which has a Storage, is read without loading the data plane
    from ..config import Profile
    from ..ipc.control import ControlPort
    from ..ipc.dataplane import DataPlane
    from ..ipc.shape import Member


@dataclass(frozen=True)
class Storage:
    """Where roles keep what outlives the run."""

    checkpoints: Path
    journal: Path
    logs: Path


@dataclass(frozen=True)
class RoleContext:
    """All that one process of a run is given."""

    profile: "Profile"
    plane: "DataPlane"
    member: "Member"
    storage: Storage
    # Torch's name of the device on which the process computes.
    device: str
    control: "ControlPort"
    # How often the process was started before.
    epoch: int = 0
