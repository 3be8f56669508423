"""Resident weights versions: a move is searched with one version from its root to its last simulation.

A lane holds the version that answered its root until its last simulation is
answered, or as long as its client pins it. A newer version is loaded only into
a network that no lane holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..ipc.shape import PlaneShape
from ..ipc.weights import WeightsSubscriber

if TYPE_CHECKING:  # nets loads torch; the memory planner imports num_resident from here and must not load torch
    from ..nets.engines import Network

# The newest, its predecessor while searches finish, and one pinned by the evaluator...
_RESIDENT = 3
# ...and the target network, with its successor while reanalyzers switch.
_RESIDENT_TARGETS = 2
_NONE = 0


@dataclass
class _Resident:
    network: "Network"
    version: int = _NONE


def num_resident(shape: PlaneShape) -> int:
    """The number of networks with which a server always has one free for a newer version."""
    return _RESIDENT + (_RESIDENT_TARGETS if shape.reanalyzers else 0)


class ResidentVersions:
    """The networks on the device and which lane holds which; there are `num_resident` of them."""

    def __init__(
        self, networks: "Sequence[Network]", subscriber: WeightsSubscriber, block: dict[str, np.ndarray]
    ) -> None:
        self._subscriber, self._block = subscriber, block
        self._residents = [_Resident(network) for network in networks]
        # The version with which each lane searches; 0 if it holds none.
        self.held_L = np.zeros(len(block["request"]), np.int64)
        self._pin_L = np.zeros(len(block["request"]), np.int64)
        self.newest = _NONE

    def refresh(self) -> bool:
        """Loads the newest published version if there is a newer one and room for it."""
        if self._subscriber.latest() <= self.newest:
            return False
        free = self._free_resident()
        pulled = self._subscriber.pull() if free is not None else None
        if pulled is None or free is None:
            return False
        free.version = _NONE
        free.network.load(pulled.weights)
        free.version = self.newest = pulled.version
        return True

    def adopt(self, lane: int) -> int:
        """Returns the version for a root request: the newest, unless the lane's client pins its current one."""
        pin = int(self._block["pin"][lane])
        if not (pin and pin == self._pin_L[lane] and self.held_L[lane]):
            self.held_L[lane] = self.newest
        self._pin_L[lane] = pin
        return int(self.held_L[lane])

    def finish(self, lane: int) -> None:
        """Ends the lane's search: releases its version unless its client pins it."""
        if not self._block["pin"][lane]:
            self.held_L[lane] = _NONE

    def network(self, version: int) -> "Network":
        """The resident network of a held version."""
        for resident in self._residents:
            if resident.version == version:
                return resident.network
        raise KeyError(version)

    def _free_resident(self) -> _Resident | None:
        self.held_L[self._block["attached"] == 0] = _NONE
        unpinned = (self._pin_L != 0) & (self._block["pin"] != self._pin_L)
        self.held_L[unpinned] = _NONE
        self._pin_L[unpinned] = _NONE
        in_use = {*self.held_L.tolist(), self.newest} - {_NONE}
        return next((resident for resident in self._residents if resident.version not in in_use), None)
