"""Checks at the start that the emulators run as `game.atari` says.

ale_py's vector environment does not report its settings. Therefore one of its
emulators and ale_py's plain interface, which is stepped one frame at a time, play
the same few actions from the same seed. Both must agree after every action: on
frame counts (frame skip, no-ops, cap), the screen (max-pooling, sticky actions),
reward (clipping) and the episode's end (lives, cap).
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import ale_py
import numpy as np
from ale_py import roms
from ale_py.vector_env import AtariVectorEnv

from ..config import GameConfig
from ..errors import MzpipeError
from .atari_emulators import EmulatorUse, emulator_use, make_emulators
from .names import atari_names

_SEED = 5
_NUM_ACTIONS = 12
# What an action shows, in the order of comparison: for each, the setting to blame for a difference, and its words.
_BLAMED = {
    "truncated": ("max_episode_frames", "cut"),
    "terminated": ("life_loss_terminates", "end"),
    "reward": ("clip_rewards", "reward"),
    "screen": ("sticky_actions", "screen, the maximum of two frames,"),
}


class Seen(NamedTuple):
    """The result of one action."""

    frames: int  # emulator frames since the episode's start, starting no-ops included
    screen: np.ndarray  # [H, W] grey
    reward: float
    terminated: bool
    truncated: bool


class PlainEmulator:
    """One emulator of ale_py's plain interface; every setting of `game.atari` is applied here, frame by frame."""

    def __init__(self, config: GameConfig, use: EmulatorUse) -> None:
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._atari, self._use, self._ale = config.atari, use, ale_py.ALEInterface()
        self._ale.setFloat("repeat_action_probability", config.atari.sticky_actions)
        self._ale.setInt("random_seed", _SEED)
        rom = roms.get_rom_path(atari_names()[config.name])
        assert rom is not None
        self._ale.loadROM(rom)
        self._ale.reset_game()
        full = config.atari.full_action_space
        self.actions = self._ale.getLegalActionSet() if full else self._ale.getMinimalActionSet()
        self.image_shape: tuple[int, int] = self._ale.getScreenDims()

    @property
    def frames(self) -> int:
        """Emulator frames since the episode's start."""
        return self._ale.getEpisodeFrameNumber()

    def begin(self, num_no_ops: int) -> None:
        """Plays the no-ops; the cap counts from here."""
        for _ in range(num_no_ops):
            self._ale.act(0)
        self._start = self.frames

    def play(self, action: int) -> Seen:
        """Plays one action, for `frame_skip` frames or until the episode ends."""
        lives, reward, screens = self._ale.lives(), 0.0, []
        for _ in range(self._atari.frame_skip):
            if self._ale.game_over() or self._capped():
                break
            reward += self._ale.act(self.actions[action])
            screens.append(self._ale.getScreenGrayscale())
        lost = self._use.training and self._atari.life_loss_terminates and self._ale.lives() < lives
        return Seen(
            frames=self.frames,
            screen=np.max(screens[-2:] if self._atari.max_pool else screens[-1:], axis=0),
            reward=float(np.sign(reward)) if self._use.training and self._atari.clip_rewards else reward,
            terminated=bool(lost or self._ale.game_over()),
            truncated=self._capped(),
        )

    def _capped(self) -> bool:
        return self.frames - self._start >= self._use.max_frames


@functools.cache
def check_emulator(config: GameConfig, *, training: bool) -> None:
    """Raises MzpipeError unless the emulators run as the configuration says; checks once per process."""
    use = emulator_use(config, training=training)
    use = use._replace(max_frames=min(use.max_frames, _NUM_ACTIONS * config.atari.frame_skip))
    plain = PlainEmulator(config, use)
    grey = dataclasses.replace(config, atari=dataclasses.replace(config.atari, grayscale=True))
    env = make_emulators(grey, 1, 1, use._replace(image_shape=plain.image_shape))
    _check_actions(config, len(env.ale.get_action_set()), len(plain.actions))
    _check_start(config, env, plain)
    for action in np.random.default_rng(_SEED).integers(0, len(plain.actions), _NUM_ACTIONS):
        before, expected = plain.frames, plain.play(action)
        seen = _look(env.step(np.array([action])))
        if expected.terminated or expected.truncated:
            # A skip that was cut short does not update the frames that it did not reach.
            seen = seen._replace(screen=expected.screen)
        _compare(config, before, expected, seen)
        if expected.terminated or expected.truncated:
            break
    env.close()


def _check_actions(config: GameConfig, seen: int, expected: int) -> None:
    if seen != expected:
        raise _fault(config, "full_action_space", f"ale_py offers {seen} actions, not {expected}")


def _check_start(config: GameConfig, env: AtariVectorEnv, plain: PlainEmulator) -> None:
    _, info = env.reset(seed=np.array([_SEED]))
    num_no_ops = int(info["episode_frame_number"][0]) - plain.frames
    if not 0 <= num_no_ops <= config.atari.noop_max:
        raise _fault(config, "noop_max", f"an episode begins with {num_no_ops} no-ops")
    plain.begin(num_no_ops)


def _look(step: tuple[Any, ...]) -> Seen:
    screen, reward, terminated, truncated, info = step
    frames = int(info["episode_frame_number"][0])
    return Seen(frames, screen[0, 0], float(reward[0]), bool(terminated[0]), bool(truncated[0]))


def _compare(config: GameConfig, before: int, expected: Seen, seen: Seen) -> None:
    if seen.frames != expected.frames:
        advanced, right = seen.frames - before, expected.frames - before
        raise _fault(config, "frame_skip", f"one action advanced the emulator by {advanced} frames, not {right}")
    for name, (field, words) in _BLAMED.items():
        if not np.array_equal(getattr(seen, name), getattr(expected, name)):
            raise _fault(config, field, f"after an action its {words} is not that of an emulator stepped by frames")


def _fault(config: GameConfig, field: str, what: str) -> MzpipeError:
    value = getattr(config.atari, field)
    return MzpipeError(f"game.atari.{field}={value!r} does not hold in {config.name}: {what}: is this another ale_py?")
