"""Long calls: what may keep a process from its next lap for longer than its laps tell."""

from enum import IntEnum
from typing import Any


class LongCall(IntEnum):
    """A kind of call; `label` names it, and after `limit_s` without an end, or a part done, it counts as stuck."""

    label: str
    limit_s: float

    def __new__(cls, *declared: Any) -> "LongCall":
        """Numbers the calls from 0 on, in their order here."""
        call = int.__new__(cls, len(cls.__members__))
        call._value_ = int(call)
        call.label, call.limit_s = declared
        return call

    # Laps alone tell how long a call may take.
    NONE = "", 0.0
    # Loads libraries, connects ranks, restores a journal; a part is a restored trajectory.
    START = "start", 600.0
    # May compile the model.
    FIRST_STEP = "first training step", 600.0
    SAVE = "saving a checkpoint", 300.0
    LOAD = "loading a checkpoint", 300.0
    # Other people's code, which may now and then take far longer than all the times before.
    GAME = "game", 60.0
