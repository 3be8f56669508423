"""Resident weights versions: a move is searched with one version from root to last simulation.

A lane holds the version that answered its root until its last simulation is
answered, and as long as its client pins it. A newer version is loaded only into
a model that no lane holds.
"""

import copy
from dataclasses import dataclass

import numpy as np

from ..nets import FlatWeights, Model
from ..weights import WeightsSubscriber

# The newest, its predecessor while searches finish, and one pinned by the evaluator...
_RESIDENT = 3
# ...and the target network, with its successor while reanalyzers change over.
_RESIDENT_TARGETS = 2
_NONE = 0


@dataclass
class _Resident:
    model: Model
    flat: FlatWeights
    version: int = _NONE


class ResidentVersions:
    """The models on the device and which lane holds which."""

    def __init__(
        self, model: Model, subscriber: WeightsSubscriber, block: dict[str, np.ndarray], *, target_networks: bool
    ) -> None:
        self._subscriber, self._block = subscriber, block
        num_models = _RESIDENT + (_RESIDENT_TARGETS if target_networks else 0)
        models = [model, *(copy.deepcopy(model) for _ in range(num_models - 1))]
        self._residents = [_Resident(each.eval(), FlatWeights(each)) for each in models]
        self._held_L = np.zeros(len(block["request"]), np.int64)
        self._pin_L = np.zeros(len(block["request"]), np.int64)
        self.newest = _NONE

    def refresh(self) -> bool:
        """Loads the newest published version if there is one and room for it."""
        if self._subscriber.latest() <= self.newest:
            return False
        free = self._free_resident()
        pulled = self._subscriber.pull() if free is not None else None
        if pulled is None or free is None:
            return False
        free.version = _NONE
        free.flat.write(pulled.weights)
        free.version = self.newest = pulled.version
        return True

    def adopt(self, lane: int) -> int:
        """Version for a root request: the newest, unless the lane's client pins the one it has."""
        pin = int(self._block["pin"][lane])
        if not (pin and pin == self._pin_L[lane] and self._held_L[lane]):
            self._held_L[lane] = self.newest
        self._pin_L[lane] = pin
        return int(self._held_L[lane])

    def held(self, lane: int) -> int:
        """Version that the lane's search began with; 0 when it never began one here."""
        return int(self._held_L[lane])

    def finish(self, lane: int) -> None:
        """The lane's search is over: it lets go of its version unless its client pins it."""
        if not self._block["pin"][lane]:
            self._held_L[lane] = _NONE

    def model(self, version: int) -> Model:
        """The resident model of a held version."""
        return next(resident.model for resident in self._residents if resident.version == version)

    def _free_resident(self) -> _Resident | None:
        self._held_L[self._block["attached"] == 0] = _NONE
        unpinned = (self._pin_L != 0) & (self._block["pin"] != self._pin_L)
        self._held_L[unpinned] = _NONE
        self._pin_L[unpinned] = _NONE
        in_use = {*self._held_L.tolist(), self.newest} - {_NONE}
        return next((resident for resident in self._residents if resident.version not in in_use), None)
