"""What the learner does about losses that are not finite: keeps the first such batch, and goes back after three."""

from pathlib import Path

import numpy as np

from ..errors import MzpipeError
from ..ipc.columns import named
from ..ipc.schema import BatchSlot
from ..runs.files import replacing

# Skipped steps in a row after which the fault is not the batch's but the weights'.
ROLLBACK_AFTER = 3


class FaultWatch:
    """Counts skipped steps in a row, and rollbacks to one and the same checkpoint."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._in_a_row = 0
        self._rolled_back_to: int | None = None
        self.dumped: Path | None = None

    def good(self) -> None:
        """A step was taken."""
        self._in_a_row = 0

    def bad(self, slot: BatchSlot, learner_steps: int) -> bool:
        """A step was skipped; keeps the batch if it is the first. Whether it is time to roll back."""
        self._in_a_row += 1
        if self.dumped is None:
            self.dumped = self._dump(slot, learner_steps)
        return self._in_a_row >= ROLLBACK_AFTER

    def rolled_back(self, learner_steps: int) -> None:
        """Training went back to a checkpoint; raises MzpipeError when it did so twice with nothing learnt between."""
        self._in_a_row = 0
        if self._rolled_back_to == learner_steps:
            raise MzpipeError(
                f"{ROLLBACK_AFTER} training steps in a row were not finite again after going back to learner step "
                f"{learner_steps:,}: lower learner.learning_rate, or look at the batch in {self.dumped}"
            )
        self._rolled_back_to = learner_steps

    def _dump(self, slot: BatchSlot, learner_steps: int) -> Path:
        path = self._directory / f"nonfinite-step-{learner_steps:08d}.npz"
        with replacing(path) as draft, draft.open("wb") as file:
            np.savez_compressed(file, **named(slot))  # type: ignore[arg-type]
        return path
