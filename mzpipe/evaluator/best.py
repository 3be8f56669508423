"""Keeps the weights with the best evaluation as checkpoints/best."""

from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np

from ..config import Profile, score_protocol
from ..errors import CheckpointError
from ..ipc.layout import Field
from ..ipc.shape import PlaneShape
from ..ipc.weights import PulledWeights
from ..runs.attempts import Attempts
from ..runs.checkpoint import BEST, Checkpoint, CheckpointStore


class BestCheckpoint:
    """Writes a checkpoint whenever an evaluation beats all earlier ones, including those of earlier sessions.

    Training needs no best checkpoint: if that of earlier sessions cannot be used, `note` is told, and it is replaced.
    The best weights are kept until they are saved.
    """

    def __init__(
        self, profile: Profile, shape: PlaneShape, checkpoints: Path, note: Callable[[str], None] = lambda line: None
    ) -> None:
        self._store = CheckpointStore(checkpoints)
        self._game = profile.game
        self._fields = shape.model_state
        # The directory's name, None if there is none to replace, and the mean return.
        self._name: str | None = None
        self._return_mean = float("-inf")
        self._saves = Attempts("best checkpoints", note)
        self._unsaved: PulledWeights | None = None
        try:
            self._recall()
        except CheckpointError as error:
            note(f"{error}: the next evaluation replaces the best checkpoint")

    def offer(self, pulled: PulledWeights, return_mean: float) -> bool:
        """Saves the weights if their mean return is the best so far; returns whether it is.

        Weights that cannot be saved are kept, for `save_kept`.
        """
        if not return_mean > self._return_mean:  # NaN, from a game's own rewards, is not the best
            return False
        self._return_mean, self._unsaved = return_mean, pulled
        self.save_kept()
        return True

    @property
    def is_due(self) -> bool:
        """Whether it is time to try again to save the best weights."""
        return self._saves.is_due

    def save_kept(self) -> None:
        """Saves the best weights, unless they are saved."""
        if self._unsaved is not None and self._saves.make(self._save):
            self._unsaved = None

    def _save(self) -> None:
        pulled = self._unsaved
        assert pulled is not None
        state = {
            "learner_steps": pulled.learner_steps,
            "env_steps": pulled.env_steps,
            "weights_version": pulled.version,
            "game": self._game.name,
            "protocol": score_protocol(self._game),
            "return_mean": self._return_mean,
        }
        name = f"best_{pulled.learner_steps:08d}"
        self._store.save(name, Checkpoint(named_state(self._fields, pulled.weights), {}, state), pointer=BEST)
        former, self._name = self._name, name
        if former is not None and former != name:
            self._store.remove(former)

    def _recall(self) -> None:
        if not self._store.has_entry(BEST):
            return
        name = self._store.pointed(BEST)
        state = self._store.load(name).state
        if "return_mean" not in state:
            raise CheckpointError(f"{self._store.directory / BEST}: names {name}, which no evaluation has saved")
        self._name, self._return_mean = name, state["return_mean"]


def named_state(fields: tuple[Field, ...], flat: np.ndarray) -> dict[str, np.ndarray]:
    """A model's state from its flat weights, in the order of the fields; integers are 0, as they count training steps.

    The arrays are views of `flat`.
    """
    state, end = {}, 0
    for name, dtype, shape in fields:
        if not np.issubdtype(dtype, np.floating):
            state[name] = np.zeros(shape, dtype)
            continue
        begin, end = end, end + prod(shape)
        state[name] = flat[begin:end].reshape(shape)
    assert end == flat.size, f"weights have {flat.size} numbers, the model has {end}"
    return state
