"""The learner's answer to losses that are not finite: it keeps the first such batch, and rolls back after three."""

from pathlib import Path

import numpy as np

from ..errors import InputOutputError, MzpipeError
from ..ipc.columns import named
from ..ipc.schema import BatchSlot
from ..runs.files import file_errors, replacing

# After this many skipped steps in a row the fault is in the weights, not in a batch.
ROLLBACK_AFTER = 3


class FaultWatch:
    """Counts skipped steps in a row, and rollbacks to the same checkpoint."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._in_a_row = 0
        self._rolled_back_to: int | None = None
        self._is_kept = False
        # Where the first skipped step's batch is, in words; "" before the first.
        self.batch = ""

    @property
    def is_next_last(self) -> bool:
        """Whether one more skipped step is a reason to roll back."""
        return self._in_a_row + 1 >= ROLLBACK_AFTER

    def good(self) -> None:
        """Records that a step was taken."""
        self._in_a_row = 0

    def bad(self, slot: BatchSlot, learner_steps: int) -> bool:
        """Records a skipped step and keeps its batch if none is kept yet; returns whether to roll back."""
        self._in_a_row += 1
        if not self._is_kept:
            self._keep(slot, learner_steps)
        return self._in_a_row >= ROLLBACK_AFTER

    def rolled_back(self, learner_steps: int) -> None:
        """Records a rollback; raises MzpipeError if it is the second to the same learner step."""
        self._in_a_row = 0
        if self._rolled_back_to == learner_steps:
            raise MzpipeError(
                f"{ROLLBACK_AFTER} training steps in a row were not finite again after going back to learner step "
                f"{learner_steps:,}: lower learner.learning_rate, or look at the batch, which {self.batch}"
            )
        self._rolled_back_to = learner_steps

    def _keep(self, slot: BatchSlot, learner_steps: int) -> None:
        """Keeps a batch if the disk takes it: training needs none."""
        path = self._directory / f"nonfinite-step-{learner_steps:08d}.npz"
        try:
            with file_errors("write", path), replacing(path) as draft, draft.open("wb") as file:
                np.savez_compressed(file, **named(slot))  # type: ignore[arg-type]
        except InputOutputError as error:
            self.batch = self.batch or f"is not kept: {error}"
        else:
            self._is_kept, self.batch = True, f"is in {path}"
