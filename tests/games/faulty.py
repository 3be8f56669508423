"""Games that break one promise, by its name, and count how often they were made and closed."""

import sys
import threading
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete

COUNTS = {"made": 0, "closed": 0}
REGISTERED = "mzpipe/Faulty-v0"
_BYTES, _UNIT = Box(0, 255, (3,), np.uint8), Box(-1.0, 1.0, (3,), np.float32)
# The space of the observations, and what `reset` (first) and `step` (then) observe.
OBSERVED: dict[str, tuple[Any, Any, Any]] = {
    "shape": (_UNIT, np.zeros(3, np.float32), np.zeros(4, np.float32)),
    "number for a vector": (Box(0.0, 1.0, (1,)), np.zeros(1, np.float32), 0.5),
    "nan": (_UNIT, np.zeros(3, np.float32), np.full(3, np.nan, np.float32)),
    "too large for float32": (_UNIT, np.zeros(3, np.float32), np.full(3, 1e300)),
    "int64 for uint8": (_BYTES, np.zeros(3, np.uint8), np.full(3, 7)),
    "fractions for integers": (Box(0, 9, (3,), np.int32), np.zeros(3, np.int32), np.full(3, 0.5)),
    "too large for int8": (Box(-128, 127, (3,), np.int8), np.zeros(3, np.int8), np.full(3, 300)),
    "above a Box": (Box(0, 9, (3,), np.int32), np.zeros(3, np.int32), np.full(3, 10, np.int32)),
    "below a Discrete": (Discrete(3), 0, -1),
    "below a Discrete's start": (Discrete(3, start=2), 2, 1),
    "above a MultiDiscrete": (MultiDiscrete([2, 3]), np.zeros(2, np.int64), np.array([2, 0])),
    "above a MultiBinary": (MultiBinary(2), np.zeros(2, np.int8), np.array([2, 0], np.int8)),
    "none": (_UNIT, np.zeros(3, np.float32), None),
    "ragged": (_UNIT, np.zeros(3, np.float32), [[1.0], [2.0, 3.0]]),
    "first observation": (_UNIT, None, None),
}
# What `step` returns instead, given what it should.
STEPS: dict[str, Any] = {
    "four values": lambda step: step[:4],
    "a list": list,
    "reward nan": lambda step: (step[0], float("nan"), *step[2:]),
    "reward infinite": lambda step: (step[0], np.float64("inf"), *step[2:]),
    "reward of shape (1,)": lambda step: (step[0], np.zeros(1), *step[2:]),
    "reward none": lambda step: (step[0], None, *step[2:]),
    "terminated a word": lambda step: (*step[:2], "no", *step[3:]),
    "truncated an array": lambda step: (*step[:3], np.zeros(1, np.bool_), *step[4:]),
    "info none": lambda step: (*step[:4], None),
}
RESETS: dict[str, Any] = {
    "reset none": lambda observation: None,
    "reset without info": lambda observation: observation,
    "reset info a list": lambda observation: (observation, []),
}


class Faulty(gymnasium.Env):
    """A gymnasium environment with one fault."""

    action_space = Discrete(2)

    def __init__(self, fault: str) -> None:
        COUNTS["made"] += 1
        self.fault = fault
        self.observation_space, self.first, self.then = OBSERVED.get(fault, (_UNIT, *2 * [np.zeros(3, np.float32)]))
        if fault == "no action_space":
            self.action_space = None
        if fault == "empty Box":
            self.observation_space = Box(0.0, 1.0, (0,))
        if fault == "constructor":
            gymnasium.make("NoSuchGame-v0")
        if fault == "third constructor" and COUNTS["made"] - COUNTS["closed"] == 3:
            COUNTS["closed"] += 1  # this one was never made
            raise KeyError("third")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if self.fault == "reset raises":
            raise KeyError("lost")
        if self.fault == "reset exits":
            sys.exit("bye")
        return RESETS.get(self.fault, lambda observation: (observation, {}))(self.first)

    def step(self, action):
        if self.fault == "step raises":
            raise ValueError("two\nlines")
        if self.fault == "step exits":
            sys.exit()
        return STEPS.get(self.fault, tuple)((self.then, 1.0, False, False, {}))

    def close(self):
        COUNTS["closed"] += 1
        if self.fault == "close raises":
            raise OSError("still there")
        if self.fault == "close hangs":
            threading.Event().wait()


class Signature(Faulty):
    """Its reset takes no seed and no options."""

    def reset(self):
        return self.first, {}


class Differing(Faulty):
    """Valid: `info` whose types and shapes differ between environments and steps."""

    def reset(self, *, seed=None, options=None):
        self.number = COUNTS["made"] = COUNTS["made"] + 1
        return self.first, {"lives": self.number if self.number % 2 else np.zeros(self.number)}

    def step(self, action):
        self.number += 1
        return *super().step(action)[:4], {"lives": [1] * self.number, "word": "no" if self.number % 2 else 3}


class Plain:
    """The same as a game that is no gymnasium environment."""

    num_actions, frame_shape = 2, (3,)

    def __init__(self, fault: str) -> None:
        self.inner = Faulty(fault)

    def reset(self, seed):
        reset = self.inner.reset(seed=seed)
        return reset[0] if isinstance(reset, tuple) else reset

    def step(self, action):
        step = self.inner.step(action)
        return step[:4] if len(step) == 5 and isinstance(step, tuple) else step[:3]

    def close(self):
        self.inner.close()


def register() -> None:
    """Makes Faulty one of gymnasium's registered environments."""
    if REGISTERED not in gymnasium.registry:
        gymnasium.register(REGISTERED, f"{__name__}:Faulty", order_enforce=False)
