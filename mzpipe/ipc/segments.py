"""Segments of one directory, by name: all are created at once, and each is mapped on first use."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .columns import R, RecordLayout
from .layout import ArrayLayout
from .ring import Ring
from .segment import HEADER_BYTES, Segment


@dataclass(frozen=True)
class RingSpec:
    """A ring's slot layout and number of slots."""

    slot: RecordLayout[Any]
    num_slots: int

    @property
    def nbytes(self) -> int:
        """Bytes of the whole ring."""
        return Ring.payload_bytes(self.slot, self.num_slots)


class Segments:
    """Segments with known layouts; all processes that use them must agree on `specs`.

    Owns    nothing: the files belong to the process that removes their directory.
    """

    def __init__(self, directory: Path, specs: Mapping[str, ArrayLayout | RingSpec]) -> None:
        self._directory, self._specs = directory, specs
        self._mapped: dict[str, Segment] = {}

    def create(self) -> None:
        """Reserves and maps every segment in an existing 0700 directory; raises PlanError when one does not fit."""
        for name, spec in self._specs.items():
            self._mapped[name] = Segment.create(self._directory / name, spec.nbytes)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Arrays of a segment that is not a ring."""
        spec = self._specs[name]
        assert isinstance(spec, ArrayLayout)
        return spec.views(self._segment(name).buffer, HEADER_BYTES)

    def ring(self, name: str, record: type[R]) -> Ring[R]:
        """A segment that is a ring of these records."""
        spec = self._specs[name]
        assert isinstance(spec, RingSpec) and spec.slot.kind is record
        return Ring(self._segment(name), spec.slot, spec.num_slots)

    def _segment(self, name: str) -> Segment:
        if name not in self._mapped:
            self._mapped[name] = Segment.attach(self._directory / name, self._specs[name].nbytes)
        return self._mapped[name]
