"""A user's own games, right and wrong ones, for the tests to name."""

import contextlib

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple


class Nim:
    """Two players take one to three of `heap` stones; the player who takes the last one wins."""

    num_actions = 3
    num_players = 2

    def __init__(self, heap=7):
        self.heap = heap
        self.frame_shape = (heap + 1,)

    def reset(self, seed):
        self.left, self.player = self.heap, 0
        return self._frame()

    def step(self, action):
        self.left -= action + 1
        self.player = 1 - self.player
        return self._frame(), float(self.left == 0), self.left == 0, False

    def legal_actions(self):
        return np.arange(1, 4) <= self.left

    def to_play(self):
        return self.player

    def _frame(self):
        return np.eye(self.heap + 1)[self.left]


class Walk:
    """A step right or left from a random place; ends at the borders."""

    num_actions = 2
    frame_shape = (9,)

    def __init__(self):
        self.closed = 0

    def reset(self, seed):
        self.place = int(np.random.default_rng(seed).integers(2, 7))
        return np.eye(9)[self.place]

    def step(self, action):
        self.place += 2 * action - 1
        return np.eye(9)[self.place], float(self.place == 8), self.place in (0, 8), False

    def close(self):
        self.closed += 1


class Line:
    """A step to the left or to the right from the middle of seven places; either end wins."""

    num_actions = 2
    frame_shape = (7,)

    def __init__(self, wrong=False):
        self.symmetries = [(range(7)[::-1], [0, 1] if wrong else [1, 0])]

    def reset(self, seed):
        self.place = 3
        return np.eye(7)[3]

    def step(self, action):
        self.place += 2 * action - 1
        has_won = self.place in (0, 6)
        return np.eye(7)[self.place], float(has_won), has_won, False


class Undoing(Walk):
    """Declares symmetries as its caller says."""

    def __init__(self, kind):
        super().__init__()
        walk, swapped = range(9)[::-1], [1, 0]
        self.symmetries = {
            "a number": 7,
            "a triple": [(walk, swapped, walk)],
            "too few places": [(range(8), swapped)],
            "an action twice": [(walk, swapped), (walk, [1, 1])],
        }[kind]


class Waiting:
    """Stays as it is whatever is played, but in one way."""

    num_actions = 2
    frame_shape = (2,)

    def __init__(self, but="nothing"):
        self.but = but

    def reset(self, seed):
        self.moves = 0
        return self._frame()

    def step(self, action):
        self.moves += 1
        return self._frame(), float(self.but == "rewards"), self.but == "ends" and self.moves == 30, False

    def _frame(self):
        return np.array([1.0, self.moves % 2 if self.but == "flickers" else 0.0])


class Restless(Walk):
    """Frames that do not follow from the seed."""

    def reset(self, seed):
        return super().reset(None) * np.random.default_rng().random()  # no two alike


class Stuck(Walk):
    """Has no legal action."""

    def legal_actions(self):
        return np.zeros(2, np.bool_)


class Endless(Walk):
    """Ends terminated and truncated at once."""

    def step(self, action):
        frame, reward, *_ = super().step(action)
        return frame, reward, True, True


def _hang(hangs):
    while hangs:
        with contextlib.suppress(Exception):
            str(hangs)


class Hanging(Walk):
    """Does not return from one of its methods, and takes every error that can be taken."""

    def __init__(self, place):
        super().__init__()
        self.hanging = place
        self._pass("constructor")

    def reset(self, seed):
        self._pass("reset")
        return super().reset(seed)

    def step(self, action):
        self._pass("step")
        return super().step(action)

    def _pass(self, place):
        _hang(self.hanging == place)


class Named(Walk):
    """Takes arguments of names that others have too."""

    def __init__(self, name, place, function):
        super().__init__()
        self.said = name, place, function


class FiveValues(Walk):
    """Returns gymnasium's five values."""

    def step(self, action):
        return *super().step(action), {}


class WrongShape(Walk):
    """Frames of another shape than it says."""

    frame_shape = (8,)


class NotANumber(Walk):
    """Frames with NaN."""

    def reset(self, seed):
        return super().reset(seed) * np.nan


class BadReward(Walk):
    """A reward that is not finite."""

    def step(self, action):
        frame, _, terminated, truncated = super().step(action)
        return frame, np.inf, terminated, truncated


class Board(Walk):
    """A frame shape of two numbers."""

    frame_shape = (3, 3)


class NoActions(Walk):
    """No actions."""

    num_actions = 0


class Three(Walk):
    """Too many players."""

    num_players = 3


class RandomNim(Nim):
    """A heap of one to seven stones."""

    def reset(self, seed):
        super().reset(seed)
        self.left = int(np.random.default_rng(seed).integers(1, 8))
        return self._frame()


class TurnsUnsaid(Nim):
    """Two players, but no method that says whose turn it is."""

    @property
    def to_play(self):
        raise AttributeError("to_play")


class MovesTwice(Nim):
    """A player who takes one stone moves again."""

    def step(self, action):
        step = super().step(action)
        if action == 0:
            self.player = 1 - self.player
        return step


class CountsLikeNumpy(Walk):
    """A number of actions as gymnasium's Discrete has it."""

    num_actions = np.int64(2)
    num_players = np.int64(1)
    frame_dtype = np.dtype(np.float32)


class Unfinished:
    """Lacks most of a game."""

    num_actions = 2


class Picture(gymnasium.Env):
    """A gymnasium environment of one's own: images, actions that start at 1, no registered limit."""

    observation_space = Box(0, 255, (4, 5, 3), np.uint8)
    action_space = Discrete(2, start=1)

    def __init__(self, render_mode=None):
        self.image = np.zeros((4, 5, 3), np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.image[:] = self.np_random.integers(0, 255, self.image.shape)
        return self.image, {}

    def step(self, action):
        assert action in (1, 2)
        self.image[0, 0] = action
        return self.image, float(action), False, False, {}


class HangingEnv(gymnasium.Env):
    """The same as a gymnasium environment."""

    observation_space, action_space = Discrete(2), Discrete(2)

    def __init__(self, place):
        self.hanging = place
        _hang(place == "constructor")

    def reset(self, *, seed=None, options=None):
        _hang(self.hanging == "reset")
        return 0, {}

    def step(self, action):
        _hang(self.hanging == "step")
        return 0, 0.0, False, False, {}


class Mapping(Picture):
    """Observes a dict."""

    observation_space = Dict(image=Picture.observation_space)

    def reset(self, *, seed=None, options=None):
        image, info = super().reset(seed=seed)
        return {"image": image}, info


class Masked(gymnasium.Env):
    """Counts up from a random number, past the end of its space; its info says which actions are legal."""

    observation_space = Box(0.0, 1.0, (1,))
    action_space = Discrete(2)
    legal = (1, 0)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.value = self.np_random.random(1, np.float32)
        return self.value, {"action_mask": np.array(self.legal, np.int8)}

    def step(self, action):
        self.value = self.value + 1
        info = {"action_mask": np.array(self.legal, np.int8)}
        return self.value, 0.0, bool(self.value >= 5), False, info


class Countdown(gymnasium.Env):
    """Takes 1, 2 or 3 from a heap of 6 and refuses more than it holds; tells its mask in the way that it is given."""

    action_space = Discrete(3)

    def __init__(self, tells="observation", lies=False):
        heap = Box(0, 6, (1,), np.float32)
        masked = Dict(heap=heap, action_mask=Box(0, 1, (3,), np.int8))
        self.tells, self.lies = tells, lies
        self.observation_space = masked if tells == "observation" else heap
        if tells == "method":
            self.action_masks = self._legal

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 6
        return self._look(), self._info()

    def step(self, action):
        assert action < self.left or self.lies, f"{action + 1} of {self.left}"
        self.left -= min(self.left, int(action) + 1)
        return self._look(), float(self.left == 0), self.left == 0, False, self._info()

    def _look(self):
        heap = np.array([self.left], np.float32)
        return {"heap": heap, "action_mask": self._legal().astype(np.int8)} if self.tells == "observation" else heap

    def _info(self):
        return {"action_mask": self._legal()} if self.tells == "info" else {}

    def _legal(self):
        return np.arange(3) < (min(1, self.left) if self.lies else self.left)


class Parted(gymnasium.Env):
    """Has actions of several parts, and masks for each part; remembers what was played."""

    observation_space = Tuple((Discrete(3), Box(-1000.0, 1000.0, (2,), np.float32)))

    def __init__(self, space=None, mask=None):
        self.action_space = space or MultiDiscrete([2, 3], start=[1, -1])
        self.mask, self.played = mask, []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._look(), self._info()

    def step(self, action):
        assert self.action_space.contains(action), action
        self.played.append(action.tolist())
        return self._look(), 0.0, False, False, self._info()

    def _look(self):
        return (len(self.played) % 3, np.array([100.0, -1.0], np.float32))

    def _info(self):
        return {} if self.mask is None else {"action_mask": self.mask}


class Bandit(gymnasium.Env):
    """One move; its reward falls with the square of the distance from the best action, 0.3."""

    observation_space = Box(0.0, 1.0, (1,), np.float32)

    def __init__(self, low=-1.0, high=1.0):
        self.action_space = Box(low, high, (1,), np.float32)
        self.played = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.played.append(float(action[0]))
        return np.ones(1, np.float32), -((float(action[0]) - 0.3) ** 2), True, False, {}


class Spaced(gymnasium.Env):
    """Observes samples of its space; its actions begin at 5."""

    action_space = Discrete(3, start=5)

    def __init__(self, space=None):
        self.observation_space = space or MultiDiscrete([2, 3], start=[1, -1])
        self.seen, self.played = [], []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self._look(), {}

    def step(self, action):
        self.played.append(int(action))
        return self._look(), 0.0, False, False, {}

    def _look(self):
        self.seen.append(self.observation_space.sample())
        return self.seen[-1]
