"""What both ends of a link must agree on: the program, the layout of what crosses, and the profile."""

import hashlib
import json

from ..config import Profile, profile_text
from ..ipc.columns import fields
from ..ipc.schema import FreshTargets, Positions, Trajectory
from ..ipc.segment import LAYOUT_VERSION
from ..ipc.shape import PlaneShape
from ..runtime.environment import kernel_cache

# In the runtime directory: where the gateway listens; and, of a pod, what its uplink must know.
ADDRESS_FILE, LINK_FILE = "address", "link.json"


def code_identity() -> str:
    """Version and digest of this program's sources, as its kernels are named."""
    return kernel_cache().name.removeprefix("kernels-")


def layout_digest(shape: PlaneShape) -> str:
    """Digest of all that crosses a link: records, and the weights by name."""
    sizes = shape.sizes()
    records = [[list(field) for field in fields(kind, sizes)] for kind in (Trajectory, Positions, FreshTargets)]
    weights = [list(field) for field in shape.model_state]
    text = json.dumps([LAYOUT_VERSION, records, weights, shape.weights_bytes, shape.games_per_actor])
    return hashlib.sha256(text.encode()).hexdigest()


def profile_digest(profile: Profile) -> str:
    """Digest of every setting of the run."""
    return hashlib.sha256(profile_text(profile).encode()).hexdigest()
