"""The state of a checkpoint: its counts and plain settings, each of its own type.

Every checkpoint has the counts. Older ones lack game and protocol; only `best` has a mean return.
"""

import math
import reprlib

_COUNTS = ("env_steps", "learner_steps", "weights_version")
_TEXTS = ("game", "protocol")
_MAX_COUNT = 1 << 62  # counters are words of 64 bits


def fault_of_state(state: object) -> str | None:
    """What is wrong with a checkpoint's state, in words; None if nothing is."""
    if not isinstance(state, dict):
        return f"its state is {reprlib.repr(state)}, not a map"
    for name in _COUNTS:
        value = state.get(name)
        if type(value) is not int or not 0 <= value <= _MAX_COUNT:
            return f"its {name} is {reprlib.repr(value)}, not a count"
    for name in _TEXTS:
        if not isinstance(state.get(name, ""), str):
            return f"its {name} is {reprlib.repr(state[name])}, not a text"
    return_mean = state.get("return_mean", 0.0)
    if type(return_mean) is not float or math.isnan(return_mean):
        return f"its return_mean is {reprlib.repr(return_mean)}, not a number"
    return None
